// Two bars beside each other in each row, for comparisons; rows that differ are marked.
import type { Comparison } from "../../api/types";
import { categoryAxis, common, exactAxis, fill, legend, legendHeight, rowTooltip } from "../base";
import { type Drawing, type Frame, isNarrow, type Picture, textWidth } from "../frame";
import type { Kind } from "../kinds";
import { stepPartName } from "../names";
import { byteUnit, tick, timeUnit, type Unit } from "../scale";
import { cell, type Table } from "../table";
import { planTitle } from "../../state/planTitle";
import { tip } from "../tip";
import type { Words } from "../words";

interface Side {
  value: number;
  text: string;
}
export interface PairRow {
  name: string;
  /** Null: there is no such thing on this side. */
  sides: [Side | null, Side | null];
}

const KINDS: [Kind, Kind] = [
  { color: "part-parameters", pattern: "plain" },
  { color: "part-activations", pattern: "rising" },
];
const SAME_WITHIN = 0.005; // of the larger

/** "▲": the second is larger, "▼": smaller, "": the same within half a percent. */
export function difference([one, other]: PairRow["sides"]): string {
  const [a, b] = [one?.value ?? 0, other?.value ?? 0];
  if (Math.abs(a - b) <= SAME_WITHIN * Math.max(Math.abs(a), Math.abs(b))) return "";
  return b > a ? "▲" : "▼";
}

function tableOf(rows: PairRow[], head: string, names: [string, string], { t }: Words): Table {
  return {
    columns: [
      { title: head },
      { title: names[0], numeric: true },
      { title: names[1], numeric: true },
      { title: t("difference") },
    ],
    rows: rows.map(({ name, sides }) => [
      cell(name),
      ...sides.map((side) => cell(side?.text ?? "-", side?.value ?? null)),
      cell(difference(sides)),
    ]),
  };
}

function draw(rows: PairRow[], names: [string, string], unit: Unit, frame: Frame): Drawing {
  const { look } = frame;
  const most = Math.max(...rows.flatMap(({ sides }) => sides.map((side) => side?.value ?? 0)));
  const labels = rows.map(({ name, sides }) => `${difference(sides)} ${name}`.trim());
  const left = Math.min(
    Math.max(...labels.map((label) => textWidth(label))) + 14,
    frame.width * 0.36,
  );
  const right =
    Math.max(...rows.flatMap(({ sides }) => sides.map((side) => textWidth(side?.text ?? "")))) + 16;
  const top = legendHeight(frame, names) + 4;
  const bar = rows.length > 16 ? 8 : 14;
  const series = names.map((name, i) => ({
    type: "bar",
    name,
    barWidth: bar,
    barGap: "10%",
    itemStyle: fill(look, KINDS[i === 0 ? 0 : 1]),
    data: rows.map(({ sides }) => {
      const side = sides[i];
      const label = {
        show: bar > 10 && side !== null,
        position: "right",
        formatter: side?.text ?? "",
        color: look.color("text"),
      };
      return { value: side ? side.value / unit.size : null, label };
    }),
  }));
  const tipOf = (row: PairRow) => {
    const sides = row.sides.map((side, i) => ({
      name: names[i] ?? "",
      text: side?.text ?? "-",
      color: look.color(KINDS[i === 0 ? 0 : 1].color),
    }));
    return tip(row.name, sides);
  };
  const option = {
    ...common(frame),
    legend: legend(frame, names),
    grid: { left, right: isNarrow(frame) ? Math.min(right, 70) : right, top, bottom: 44 },
    tooltip: rowTooltip(look, rows, tipOf),
    xAxis: exactAxis(look, unit.name, (most / unit.size) * 1.05 || 1, tick),
    yAxis: categoryAxis(look, labels, {
      inverse: true,
      axisLabel: { color: look.color("text"), interval: 0, width: left - 12, overflow: "truncate" },
    }),
    series,
  };
  return { option, height: top + rows.length * (2 * bar + 18) + 44 };
}

const MOST_ROWS = 32;

function picture(
  rows: PairRow[],
  title: string,
  head: string,
  names: [string, string],
  unit: Unit,
  words: Words,
): Picture {
  const drawn = rows.length <= MOST_ROWS ? rows : fewer(rows);
  const said = (row: PairRow) =>
    words.t("named", {
      name: row.name,
      text: row.sides.map((side) => side?.text ?? "-").join(" / "),
    });
  return {
    summary: `${title}, ${names.join(" / ")}. ${rows.slice(0, 12).map(said).join("; ")}.`,
    table: tableOf(rows, head, names, words),
    draw: (frame) => draw(drawn, names, unit, frame),
    points: drawn.map((row, dataIndex) => ({ seriesIndex: 0, dataIndex, text: said(row) })),
  };
}

/** Legends tell series apart by name. */
function namesOf(comparison: Comparison, { t }: Words): [string, string] {
  const [one, other] = [comparison.one, comparison.other].map(({ name }) => planTitle(name, t)) as [
    string,
    string,
  ];
  return one === other ? [one, `${other} (2)`] : [one, other];
}

export function compareTime(comparison: Comparison, words: Words): Picture | null {
  const rows = comparison.parts.map((part): PairRow => ({
    name: stepPartName(words.language, part.name),
    sides: [
      { value: part.one_ms, text: part.one_text },
      { value: part.other_ms, text: part.other_text },
    ],
  }));
  if (rows.length === 0) return null;
  const unit = timeUnit(
    Math.max(...comparison.parts.flatMap((part) => [part.one_ms, part.other_ms])),
  );
  return picture(
    rows,
    words.t("compare_time"),
    words.t("part_word"),
    namesOf(comparison, words),
    unit,
    words,
  );
}

export function compareMemory(comparison: Comparison, words: Words): Picture | null {
  const rows = comparison.memory.map(({ pp_rank, one, other }): PairRow => ({
    name: words.t("rank_of", { rank: pp_rank }),
    sides: [one, other],
  }));
  if (rows.length === 0) return null;
  const unit = byteUnit(
    Math.max(1, ...rows.flatMap(({ sides }) => sides.map((side) => side?.value ?? 0))),
  );
  return picture(
    rows,
    words.t("compare_memory"),
    words.t("rank_word"),
    namesOf(comparison, words),
    unit,
    words,
  );
}

/** Of each run of neighbours the row of the larger value. */
function fewer(rows: PairRow[]): PairRow[] {
  const size = Math.ceil(rows.length / MOST_ROWS);
  const largest = ({ sides }: PairRow) => Math.max(...sides.map((side) => side?.value ?? 0));
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, i) =>
    rows
      .slice(i * size, (i + 1) * size)
      .reduce((best, row) => (largest(row) > largest(best) ? row : best)),
  );
}
