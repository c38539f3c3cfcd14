// The timeline in words: a line about the step, about an event, and all events as a table.
import type { TimelineView } from "../../api/types";
import { timeText } from "../../format";
import { nameOf } from "../names";
import { cell, type Table } from "../table";
import type { TipRow } from "../tip";
import { percent, type Words } from "../words";

export function stepText(view: TimelineView, { t }: Words): string {
  return t("step_of_time", { time: timeText(view.total_ms), share: percent(view.bubble_fraction) });
}

export function eventTitle(view: TimelineView, event: number, { language }: Words): string {
  const { events, kinds, rows } = view;
  const kind = nameOf(language, kinds[events.kind[event] ?? 0] ?? "");
  return `${kind}, ${rows[events.row[event] ?? 0]?.name ?? ""}`;
}

/** What is known of an event. */
export function eventFacts(view: TimelineView, event: number, { t }: Words): TipRow[] {
  const { start_ms, end_ms, microbatch, chunk, unit, hidden_ms } = view.events;
  const start = start_ms[event] ?? 0;
  const end = end_ms[event] ?? 0;
  const facts: TipRow[] = [
    { name: t("duration_word"), text: timeText(end - start), strong: true },
    { name: t("from_word"), text: timeText(start) },
    { name: t("to_word"), text: timeText(end) },
  ];
  const numbers = [
    ["microbatch_word", microbatch, 0],
    ["chunk_word", chunk, 1],
    ["unit_word", unit, 0],
  ] as const;
  for (const [key, column, least] of numbers) {
    const value = column[event];
    if (value !== undefined && value >= least) facts.push({ name: t(key), text: String(value) });
  }
  const hidden = hidden_ms[event] ?? 0;
  if (hidden > 0) facts.push({ name: t("hidden_word"), text: timeText(hidden) });
  return facts;
}

export function eventLine(view: TimelineView, event: number, words: Words): string {
  const facts = eventFacts(view, event, words).map(({ name, text }) => `${name} ${text}`);
  return words.t("named", { name: eventTitle(view, event, words), text: facts.join(", ") });
}

export function timelineTable(view: TimelineView, { t, language }: Words): Table {
  const { events, kinds, rows } = view;
  const number = (value: number | undefined, least = 0) =>
    value === undefined || value < least ? cell("", null) : cell(String(value), value);
  const time = (value: number | undefined) => cell(timeText(value ?? 0), value ?? 0);
  return {
    columns: [
      { title: t("row_word"), key: "row" },
      { title: t("kind_word"), key: "kind" },
      { title: t("from_word"), key: "start_ms", numeric: true },
      { title: t("to_word"), key: "end_ms", numeric: true },
      { title: t("microbatch_word"), key: "microbatch", numeric: true },
      { title: t("chunk_word"), key: "chunk", numeric: true },
      { title: t("unit_word"), key: "unit", numeric: true },
      { title: t("hidden_word"), key: "hidden_ms", numeric: true },
    ],
    rows: events.row.map((row, i) => {
      const kind = kinds[events.kind[i] ?? 0] ?? "";
      return [
        cell(rows[row]?.name ?? String(row)),
        cell(nameOf(language, kind), kind),
        time(events.start_ms[i]),
        time(events.end_ms[i]),
        number(events.microbatch[i]),
        number(events.chunk[i]),
        number(events.unit[i]),
        time(events.hidden_ms[i]),
      ];
    }),
  };
}
