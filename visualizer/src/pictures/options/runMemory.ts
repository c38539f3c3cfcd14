// Memory of each rank of a run: what was measured beside the prediction, both with the reserve against the budget.
import type { MemoryPart, RunView } from "../../api/types";
import {
  categoryAxis,
  clear,
  common,
  exactAxis,
  fill,
  legend,
  legendHeight,
  limitEdge,
  limitLines,
  rowTooltip,
} from "../base";
import { type Drawing, type Frame, isNarrow, type Picture, textWidth } from "../frame";
import { type Kind, MEMORY_PARTS, partKind } from "../kinds";
import { nameOf } from "../names";
import { memoryAxis, type MemoryAxis, tick } from "../scale";
import { cell, type Table } from "../table";
import { tip } from "../tip";
import { stagesText, type Words } from "../words";

type Memory = RunView["memory"];
type Rank = Memory["ranks"][number];

export interface RunRow {
  rank: Rank;
  /** Of how many ranks this is the fullest. */
  of: number;
}

const MOST_ROWS = 32;
const MEASURED: Kind = { color: "text-soft", pattern: "plain" };
const PREDICTED: Kind = { color: "part-parameters", pattern: "plain" };

function partBytes(rank: Rank, part: MemoryPart): number {
  return rank.parts?.find(({ name }) => name === part)?.bytes ?? 0;
}

/** The longer of a rank's bars, which have the reserve at their end. */
function largest(rank: Rank): number {
  const tensors = Math.max(rank.measured?.value ?? 0, rank.predicted?.value ?? 0);
  return tensors + partBytes(rank, "reserve");
}

/** Of each run of neighbours the fullest, where there are more ranks than rows. */
export function runRows(ranks: Rank[], most = MOST_ROWS): RunRow[] {
  const size = Math.max(1, Math.ceil(ranks.length / most));
  return Array.from({ length: Math.ceil(ranks.length / size) }, (_, i) => {
    const some = ranks.slice(i * size, (i + 1) * size);
    const rank = some.reduce((best, one) => (largest(one) > largest(best) ? one : best));
    return { rank, of: some.length };
  });
}

function rowName({ rank, of }: RunRow, { t }: Words): string {
  const name = `${t("rank_of", { rank: rank.rank })} · ${stagesText(t, [rank.stage])}`;
  return of > 1 ? `${name} (${t("fullest_of", { count: of })})` : name;
}

function partsOf(rows: RunRow[]): MemoryPart[] {
  return MEMORY_PARTS.filter((part) =>
    rows.some(({ rank }) => rank.parts?.some(({ name, bytes }) => name === part && bytes > 0)),
  );
}

function tableOf(memory: Memory, { t }: Words): Table {
  return {
    columns: [
      { title: t("rank_word"), key: "rank" },
      { title: t("stage_word"), key: "stage" },
      { title: t("measured"), key: "measured_bytes", numeric: true },
      { title: t("predicted"), key: "predicted_bytes", numeric: true },
    ],
    rows: memory.ranks.map(({ rank, stage, measured, predicted }) => [
      cell(String(rank), rank),
      cell(String(stage), stage),
      cell(measured?.text ?? "-", measured?.value ?? null),
      cell(predicted?.text ?? "-", predicted?.value ?? null),
    ]),
  };
}

interface Bar {
  name: string;
  kind: Kind;
  stack: "measured" | "predicted";
  bytes: (rank: Rank) => number | null;
  /** At the end of the stack. */
  text?: (rank: Rank) => string;
}

/** Predictions without parts are one bar. */
function barsOf(rows: RunRow[], { t, language }: Words, narrow: boolean): Bar[] {
  const bars: Bar[] = [];
  if (rows.some(({ rank }) => rank.measured)) {
    const stack = "measured";
    const text = ({ measured }: Rank) => measured?.text ?? "";
    const tensors = (rank: Rank) => rank.measured?.value ?? null;
    const reserve = (rank: Rank) => (rank.measured ? partBytes(rank, "reserve") : 0);
    bars.push({ name: t("measured"), kind: MEASURED, stack, bytes: tensors });
    bars.push({
      name: nameOf(language, "reserve"),
      kind: partKind("reserve"),
      stack,
      bytes: reserve,
    });
    bars.push({ name: "", kind: MEASURED, stack, bytes: () => 0, text });
  }
  const parts = partsOf(rows).map((part): Bar => ({
    name: nameOf(language, part),
    kind: partKind(part),
    stack: "predicted",
    bytes: (rank) => rank.parts?.find(({ name }) => name === part)?.bytes ?? 0,
  }));
  const predicted = rows.some(({ rank }) => rank.predicted);
  const whole = parts.length === 0 && predicted;
  if (whole) {
    parts.push({
      name: t("predicted"),
      kind: PREDICTED,
      stack: "predicted",
      bytes: (rank) => rank.predicted?.value ?? null,
    });
  }
  const said = narrow ? "" : ` ${t("predicted")}`;
  const text = ({ predicted }: Rank) => (predicted ? predicted.text + said : "");
  if (parts.length > 0)
    parts.push({ name: "", kind: PREDICTED, stack: "predicted", bytes: () => 0, text });
  return [...bars, ...parts];
}

function seriesOf(
  bar: Bar,
  rows: RunRow[],
  axis: MemoryAxis,
  height: number,
  { look }: Frame,
): object {
  return {
    type: "bar",
    name: bar.name,
    stack: bar.stack,
    barWidth: height,
    barGap: "12%",
    itemStyle: fill(look, bar.kind),
    z: bar.text ? 6 : 2,
    data: rows.map(({ rank }) => {
      const bytes = bar.bytes(rank);
      const text = bar.text?.(rank) ?? "";
      const label = {
        show: text !== "" && height > 9,
        position: "right",
        formatter: text,
        color: look.color("text"),
        ...clear(look),
      };
      return { value: bytes === null ? null : bytes / axis.unit.size, label };
    }),
  };
}

function rowTip(row: RunRow, memory: Memory, frame: Frame): HTMLElement {
  const { look, language, t } = frame;
  const { measured, predicted, parts } = row.rank;
  const sides = [
    ...(measured
      ? [
          {
            name: t("measured"),
            text: measured.text,
            color: look.color(MEASURED.color),
            strong: true,
          },
        ]
      : []),
    ...(predicted ? [{ name: t("predicted"), text: predicted.text, strong: true }] : []),
  ];
  const split = (parts ?? []).map(({ name, text }) => ({
    name: nameOf(language, name),
    text,
    color: look.color(partKind(name).color),
  }));
  const budget = memory.budget ? [{ name: t("budget_word"), text: memory.budget.text }] : [];
  return tip(rowName(row, frame), [...sides, ...split, ...budget]);
}

function draw(memory: Memory, rows: RunRow[], frame: Frame): Drawing {
  const { look, t } = frame;
  const bars = barsOf(rows, frame, isNarrow(frame));
  const axis = memoryAxis(Math.max(...rows.map(({ rank }) => largest(rank))), [memory.budget]);
  const names = rows.map((row) => rowName(row, frame));
  const legendNames = [...new Set(bars.map(({ name }) => name))].filter((name) => name !== "");
  const many = rows.length > 12;
  const height = many ? 7 : 16;
  const left = Math.min(Math.max(...names.map((name) => textWidth(name))) + 14, frame.width * 0.34);
  const widest = isNarrow(frame) ? "00.0 GiB" : `00.0 GiB ${t("predicted")}`;
  const right = many ? 14 : textWidth(widest) + 8;
  const top = legendHeight(frame, legendNames) + 22;
  const limits = [
    { limit: memory.budget, text: t("budget_of", { text: memory.budget?.text }), color: "bad" },
  ];
  const [first, ...others] = bars.map((bar) => seriesOf(bar, rows, axis, height, frame));
  const option = {
    ...common(frame),
    legend: legend(frame, legendNames),
    grid: { left, right, top, bottom: 46 },
    tooltip: rowTooltip(look, rows, (row) => rowTip(row, memory, frame)),
    xAxis: exactAxis(look, axis.unit.name, axis.end, tick),
    yAxis: categoryAxis(look, names, {
      inverse: true,
      axisLabel: {
        color: look.color("text"),
        interval: many ? "auto" : 0,
        width: left - 12,
        overflow: "truncate",
      },
    }),
    series: [{ ...first, markLine: limitLines(limits, axis, look) }, ...others],
    graphic: limitEdge(limits, axis, { right, top: top - 18 }, frame),
  };
  return { option, height: top + rows.length * (2 * height + (many ? 6 : 16)) + 46 };
}

/** Null: nothing is known of any rank. */
export function runMemory(memory: Memory, words: Words): Picture | null {
  const known = memory.ranks.filter(({ measured, predicted }) => measured ?? predicted);
  if (known.length === 0) return null;
  const { t } = words;
  const rows = runRows(known);
  const said = rows.slice(0, 8).map((row) => {
    const { measured, predicted } = row.rank;
    const sides = [
      ...(measured ? [`${t("measured")} ${measured.text}`] : []),
      ...(predicted ? [`${t("predicted")} ${predicted.text}`] : []),
    ];
    return t("named", { name: rowName(row, words), text: sides.join(", ") });
  });
  return {
    summary: `${t("run_memory")}. ${said.join("; ")}.`,
    table: tableOf(memory, words),
    draw: (frame) => draw(memory, rows, frame),
  };
}
