// What all pictures by ECharts share: legend, axes, tooltip, fill.
import type { Amount } from "../api/types";
import { type Frame, textWidth } from "./frame";
import type { Kind } from "./kinds";
import { decal, type Look } from "./look";
import type { MemoryAxis } from "./scale";

export const FONT_SIZE = 12;
const LEGEND_ROW = 22;

/** Rows that the entries take, in pixels; ECharts does not say. */
export function legendHeight(frame: Frame, names: string[]): number {
  let rows = 1;
  let used = 0;
  for (const name of names) {
    const width = 32 + textWidth(name);
    if (used > 0 && used + width > frame.width - 12) {
      rows += 1;
      used = 0;
    }
    used += width;
  }
  return names.length === 0 ? 0 : rows * LEGEND_ROW + 6;
}

export function legend(frame: Frame, names: string[]): object {
  return {
    show: names.length > 0,
    data: names,
    top: 0,
    left: 0,
    padding: [2, 0],
    itemWidth: 14,
    itemHeight: 12,
    itemGap: 12,
    textStyle: { color: frame.look.color("text"), fontSize: FONT_SIZE },
    inactiveColor: frame.look.color("line"),
  };
}

export function common(frame: Frame): object {
  return {
    animation: false,
    backgroundColor: "transparent",
    textStyle: {
      fontFamily: frame.look.font,
      color: frame.look.color("text"),
      fontSize: FONT_SIZE,
    },
  };
}

export function tooltip(look: Look): object {
  return {
    confine: true,
    transitionDuration: 0,
    backgroundColor: look.color("ground"),
    borderColor: look.color("line-strong"),
    padding: 10,
    textStyle: { color: look.color("text"), fontSize: FONT_SIZE },
  };
}

/** Of the row under the mouse, wherever in its height. */
export function rowTooltip<Row>(
  look: Look,
  rows: readonly Row[],
  tipOf: (row: Row) => HTMLElement,
): object {
  const formatter = (points: { dataIndex: number }[]) => {
    const row = rows[points[0]?.dataIndex ?? 0];
    return row ? tipOf(row) : "";
  };
  return { ...tooltip(look), trigger: "axis", axisPointer: { type: "shadow" }, formatter };
}

/** An axis of numbers: quiet lines, no arrows. */
export function valueAxis(look: Look, name: string, more: object = {}): object {
  return {
    type: "value",
    name,
    nameLocation: "middle",
    nameGap: 26,
    nameTextStyle: { color: look.color("text-soft") },
    axisLine: { show: false },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: look.color("line") } },
    ...more,
  };
}

export function axisLabel(look: Look, formatter: (value: number) => string): object {
  return { color: look.color("text-soft"), hideOverlap: true, formatter };
}

/** From 0 to what is rarely a round number. */
export function exactAxis(
  look: Look,
  name: string,
  max: number,
  formatter: (value: number) => string,
): object {
  const label = { ...axisLabel(look, formatter), showMaxLabel: false };
  return valueAxis(look, name, { min: 0, max, axisLabel: label });
}

/** Over lines that cross it. */
export function clear(look: Look): object {
  return { backgroundColor: look.color("ground"), padding: [1, 2] };
}

export function categoryAxis(look: Look, names: string[], more: object = {}): object {
  return {
    type: "category",
    data: names,
    axisLabel: { color: look.color("text"), hideOverlap: true },
    axisLine: { lineStyle: { color: look.color("line-strong") } },
    axisTick: { show: false },
    ...more,
  };
}

/** Colour, pattern, and an edge of the ground's colour between neighbours. */
export function fill(look: Look, kind: Kind): object {
  return {
    color: look.color(kind.color),
    decal: decal(look, kind.pattern),
    borderColor: look.color("ground"),
    borderWidth: 1,
  };
}

/** A budget, or what a device has. */
export interface Limit {
  limit: Amount | null;
  text: string;
  color: string;
  dashed?: boolean;
}

/** Limits within the axis as upright lines; words to the left and the right where there are two. */
export function limitLines(limits: Limit[], axis: MemoryAxis, look: Look): object {
  const inside = limits.filter((_, i) => axis.inside[i]);
  const lines = inside.map(({ limit, text, color, dashed }, i) => {
    const at = (limit?.value ?? 0) / axis.unit.size;
    const alone = at > 0.75 * axis.end ? "right" : "center";
    const align = inside.length === 1 ? alone : i === 0 ? "right" : "left";
    const label = { formatter: text, color: look.color(color), position: "start", distance: 4 };
    return {
      xAxis: at,
      lineStyle: { color: look.color(color), width: 2, type: dashed ? "dashed" : "solid" },
      label: { ...label, align, padding: inside.length > 1 ? [0, 2] : 0 },
    };
  });
  return { silent: true, symbol: "none", animation: false, data: lines };
}

/** Where the first of them lies beyond the axis: its name at the axis's end. */
export function limitEdge(
  limits: Limit[],
  axis: MemoryAxis,
  place: { right: number; top: number },
  { look, t }: Frame,
): object[] {
  const [first] = limits;
  if (!first?.limit || axis.inside[0]) return [];
  const style = {
    text: `${first.text}, ${t("beyond_axis")} →`,
    fill: look.color(first.color),
    fontSize: FONT_SIZE,
    fontFamily: look.font,
  };
  return [{ type: "text", silent: true, ...place, style }];
}
