// Memory of each pipeline rank against the budget, part by part.
import type { Amount, MemoryPart, MemoryView } from "../../api/types";
import {
  categoryAxis,
  clear,
  common,
  exactAxis,
  fill,
  FONT_SIZE,
  legend,
  legendHeight,
  type Limit,
  limitEdge,
  limitLines,
  rowTooltip,
} from "../base";
import { type Drawing, type Frame, isNarrow, type Picture, textWidth } from "../frame";
import { MEMORY_PARTS, partKind } from "../kinds";
import { inkOn } from "../look";
import { nameOf } from "../names";
import { memoryAxis, type MemoryAxis, tick } from "../scale";
import { cell, type Table } from "../table";
import { tip } from "../tip";
import { percent, ranksText, stagesText, type Words } from "../words";

type Rank = MemoryView["ranks"][number];

export interface BarRow {
  rank: Rank;
  /** Of how many pipeline ranks this is the fullest. */
  of: number;
}

/** More bars than a page can show: of each run of neighbours the fullest. */
export function fullest(ranks: Rank[], most: number): BarRow[] {
  const size = Math.max(1, Math.ceil(ranks.length / most));
  const out: BarRow[] = [];
  for (let begin = 0; begin < ranks.length; begin += size) {
    const some = ranks.slice(begin, begin + size);
    const rank = some.reduce((found, one) => (one.total.value > found.total.value ? one : found));
    out.push({ rank, of: some.length });
  }
  return out;
}

const MOST_BARS = 48;
function rowName(row: BarRow, words: Words): string {
  const { pp_rank, stages } = row.rank;
  const rank = words.t("rank_of", { rank: pp_rank });
  const same = stages.length === 0 || (stages.length === 1 && stages[0] === pp_rank);
  const name = same ? rank : `${rank} · ${stagesText(words.t, stages)}`;
  return row.of > 1 ? `${name} (${words.t("fullest_of", { count: row.of })})` : name;
}

function partOf(rank: Rank, part: MemoryPart) {
  return rank.parts.find(({ name }) => name === part);
}

function partsOf(ranks: Rank[]): MemoryPart[] {
  return MEMORY_PARTS.filter((part) => ranks.some((rank) => (partOf(rank, part)?.bytes ?? 0) > 0));
}

function isOver(rank: Rank, budget: Amount | null): boolean {
  return budget !== null && rank.total.value > budget.value;
}

function totalText(rank: Rank, view: MemoryView, words: Words): string {
  const share = percent(rank.share_of_budget);
  const over = isOver(rank, view.budget) ? `, ${words.t("over_budget")}` : "";
  return rank.total.text + (share ? ` (${share}${over})` : "");
}

function tableOf(view: MemoryView, { t, language }: Words): Table {
  const parts = partsOf(view.ranks);
  const columns = [
    { title: t("rank_word"), key: "pp_rank" },
    { title: t("stage_word"), key: "stages" },
    ...parts.map((part) => ({
      title: nameOf(language, part),
      key: `${part}_bytes`,
      numeric: true,
    })),
    { title: t("total"), key: "total_bytes", numeric: true },
    { title: t("share_of_budget"), key: "share_of_budget", numeric: true },
  ];
  const rows = view.ranks.map((rank) => [
    cell(String(rank.pp_rank), rank.pp_rank),
    cell(rank.stages.join(", ")),
    ...parts.map((name) => cell(partOf(rank, name)?.text ?? "-", partOf(rank, name)?.bytes ?? 0)),
    cell(rank.total.text, rank.total.value),
    cell(percent(rank.share_of_budget), rank.share_of_budget),
  ]);
  return { columns, rows };
}

/** Places in pixels; what bars need to know of them. */
interface Layout {
  left: number;
  right: number;
  top: number;
  bottom: number;
  bar: number;
  gap: number;
  plot: number;
}

function layoutOf(
  names: string[],
  totals: string[],
  legendNames: string[],
  frame: Frame,
  chosen: boolean,
): Layout {
  const many = names.length > 16;
  const widest = (texts: string[]) => Math.max(...texts.map((text) => textWidth(text)));
  const labels = isNarrow(frame) ? [...names, "000.0 GiB"] : names;
  const left = Math.min(widest(labels) + (chosen ? 28 : 14), frame.width * 0.32);
  const right = isNarrow(frame) ? 14 : widest(totals) + 20;
  return {
    left,
    right,
    top: legendHeight(frame, legendNames) + 22,
    bottom: 46,
    bar: many && !isNarrow(frame) ? 14 : 26,
    gap: many && !isNarrow(frame) ? 6 : 14,
    plot: Math.max(60, frame.width - left - right),
  };
}

/** What the device has lies beside the budget; where there is no room for both, that alone. */
function limitsOf(view: MemoryView, frame: Frame): Limit[] {
  const { t } = frame;
  const { budget, device } = view;
  const own = device?.value === budget?.value || isNarrow(frame) ? null : device;
  return [
    { limit: budget, text: t("budget_of", { text: budget?.text }), color: "bad" },
    { limit: own, text: t("device_of", { text: own?.text }), color: "text-soft", dashed: true },
  ];
}

function barSeries(rows: BarRow[], axis: MemoryAxis, layout: Layout, frame: Frame): object[] {
  const { look } = frame;
  return partsOf(rows.map(({ rank }) => rank)).map((name) => {
    const color = inkOn(look.color(partKind(name).color));
    return {
      type: "bar",
      stack: "memory",
      name: nameOf(frame.language, name),
      barWidth: layout.bar,
      itemStyle: fill(look, partKind(name)),
      data: rows.map(({ rank }) => {
        const part = partOf(rank, name);
        const value = (part?.bytes ?? 0) / axis.unit.size;
        const text = part?.text ?? "";
        const show = layout.bar > 20 && (value / axis.end) * layout.plot > textWidth(text) + 10;
        return { value, label: { show, formatter: text, color, position: "inside" } };
      }),
    };
  });
}

/** Bars of no length behind the last part, for the totals; narrow pictures have them at the axis. */
function totalSeries(
  rows: BarRow[],
  view: MemoryView,
  layout: Layout,
  frame: Frame,
  selected?: number,
) {
  const { look } = frame;
  return {
    type: "bar",
    stack: "memory",
    silent: true,
    z: 6,
    barWidth: layout.bar,
    data: rows.map(({ rank }) => ({
      value: 0,
      label: {
        show: !isNarrow(frame),
        ...clear(look),
        position: "right",
        formatter: totalText(rank, view, frame),
        color: look.color(isOver(rank, view.budget) ? "bad" : "text"),
        fontWeight: isOver(rank, view.budget) || rank.pp_rank === selected ? "bold" : "normal",
      },
    })),
  };
}

function rankTip(view: MemoryView, row: BarRow, frame: Frame): HTMLElement {
  const { look, language, t } = frame;
  const { rank } = row;
  const parts = rank.parts.map((part) => ({
    color: look.color(partKind(part.name).color),
    name: nameOf(language, part.name),
    text: part.text,
  }));
  const total = { name: t("total"), text: totalText(rank, view, frame), strong: true };
  const budget = view.budget ? [{ name: t("budget_word"), text: view.budget.text }] : [];
  const title = t("named", { name: rowName(row, frame), text: ranksText(t, rank.ranks) });
  return tip(title, [...parts, total, ...budget]);
}

/** Names, with the totals below where there is no room beside the bars. */
function rankAxis(view: MemoryView, rows: BarRow[], layout: Layout, frame: Frame, chosen?: number) {
  const { look } = frame;
  const label = (row: BarRow) => {
    const { rank } = row;
    const name = rowName(row, frame);
    const first = rank.pp_rank === chosen ? `{chosen|▸ ${name}}` : name;
    if (!isNarrow(frame)) return first;
    return `${first}\n{${isOver(rank, view.budget) ? "over" : "total"}|${rank.total.text}}`;
  };
  return categoryAxis(
    look,
    rows.map((row) => rowName(row, frame)),
    {
      inverse: true,
      axisLabel: {
        color: look.color("text"),
        interval: 0,
        width: layout.left - 12,
        overflow: "truncate",
        formatter: (name: string, i: number) => (rows[i] ? label(rows[i]) : name),
        rich: {
          chosen: { color: look.color("accent"), fontWeight: "bold", fontSize: FONT_SIZE },
          total: { color: look.color("text-soft"), fontSize: FONT_SIZE, padding: [3, 0, 0, 0] },
          over: { color: look.color("bad"), fontWeight: "bold", padding: [3, 0, 0, 0] },
        },
      },
    },
  );
}

function draw(view: MemoryView, rows: BarRow[], frame: Frame, selected?: number): Drawing {
  const { look, language } = frame;
  const most = Math.max(...rows.map(({ rank }) => rank.total.value));
  const limits = limitsOf(view, frame);
  const axis = memoryAxis(
    most,
    limits.map(({ limit }) => limit),
  );
  const names = rows.map((row) => rowName(row, frame));
  const totals = rows.map(({ rank }) => totalText(rank, view, frame));
  const legendNames = partsOf(rows.map(({ rank }) => rank)).map((part) => nameOf(language, part));
  const layout = layoutOf(names, totals, legendNames, frame, selected !== undefined);
  const [first, ...others] = barSeries(rows, axis, layout, frame);
  const option = {
    ...common(frame),
    legend: legend(frame, legendNames),
    grid: { left: layout.left, right: layout.right, top: layout.top, bottom: layout.bottom },
    tooltip: rowTooltip(look, rows, (row) => rankTip(view, row, frame)),
    xAxis: exactAxis(look, axis.unit.name, axis.end, tick),
    yAxis: rankAxis(view, rows, layout, frame, selected),
    series: [
      { ...first, markLine: limitLines(limits, axis, look) },
      ...others,
      totalSeries(rows, view, layout, frame, selected),
    ],
    graphic: limitEdge(limits, axis, { right: layout.right, top: layout.top - 18 }, frame),
  };
  const height = layout.top + rows.length * (layout.bar + layout.gap) + layout.bottom;
  return { option, height };
}

export interface RankPicture extends Picture {
  /** The pipeline rank of each bar. */
  ranks: number[];
}

/** Null: there are no ranks. `selected`: a pipeline rank to mark; `most`: bars that there is room for. */
export function memoryBars(
  view: MemoryView,
  words: Words,
  selected?: number,
  most = MOST_BARS,
): RankPicture | null {
  if (view.ranks.length === 0) return null;
  const rows = fullest(view.ranks, most);
  const said = rows
    .slice(0, 8)
    .map((row) =>
      words.t("named", { name: rowName(row, words), text: totalText(row.rank, view, words) }),
    );
  const budget = view.budget ? ` ${words.t("budget_of", { text: view.budget.text })}.` : "";
  return {
    summary: `${words.t("memory_bars")}.${budget} ${said.join("; ")}${rows.length > 8 ? "; …" : ""}`,
    table: tableOf(view, words),
    ranks: rows.map(({ rank }) => rank.pp_rank),
    draw: (frame) => draw(view, rows, frame, selected),
  };
}
