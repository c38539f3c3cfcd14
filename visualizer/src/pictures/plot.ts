// A picture over time or steps, drawn by uPlot and written as SVG.
import { reaches } from "./scale";

export interface PlotSeries {
  name: string;
  /** A token of theme/tokens.css. */
  color: string;
  /** One for each x; null: no value there. */
  values: (number | null)[];
  /** What is written of a value. */
  text: (value: number) => string;
  width?: number;
  opacity?: number;
  dash?: number[];
  /** Points alone, no line between them. */
  points?: boolean;
}

export interface Plot {
  title: string;
  x: number[];
  xName: string;
  xText: (x: number) => string;
  /** Of the axis: the number of its unit. */
  xTick: (x: number) => string;
  yTick: (y: number) => string;
  /** Of x and y: a unit's size, in which ticks are round. Steps have no halves. */
  xUnit: number;
  xWhole?: boolean;
  yUnit: number;
  series: PlotSeries[];
  /** Values hold until the next x, and each series lies upon the one before. */
  stacked: boolean;
  logarithmic: boolean;
  /** Across the picture, such as a budget. Those far above all values are named at the edge. */
  limits: { value: number; text: string; color: string }[];
  /** A point of note. */
  mark?: { x: number; y: number; text: string };
}

/** What is drawn: sums of stacked series, nothing of what a logarithmic axis has no place for. */
export function heights(plot: Plot): (number | null)[][] {
  if (!plot.stacked) {
    return plot.series.map(({ values }) =>
      values.map((value) => (value !== null && (!plot.logarithmic || value > 0) ? value : null)),
    );
  }
  const sums = plot.x.map(() => 0);
  return plot.series.map(({ values }) => sums.map((sum, i) => (sums[i] = sum + (values[i] ?? 0))));
}

export interface Range {
  low: number;
  high: number;
}

/** Of the y axis; `inside`: which limits it holds. */
export function yRange(plot: Plot): Range & { inside: boolean[] } {
  let low = Infinity;
  let high = -Infinity;
  for (const row of heights(plot)) {
    for (const value of row) {
      if (value === null) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (low > high)
    return {
      low: plot.logarithmic ? 1 : 0,
      high: plot.logarithmic ? 10 : 1,
      inside: plot.limits.map(() => false),
    };
  const most = high;
  const inside = plot.limits.map(({ value }) => reaches(most, value));
  plot.limits.forEach(({ value }, i) => (high = inside[i] ? Math.max(high, value) : high));
  if (plot.logarithmic) {
    const room = low === high ? 2 : (high / low) ** 0.05;
    return { low: low / room, high: high * room, inside };
  }
  if (plot.stacked) return { low: 0, high: high * 1.06 || 1, inside };
  const room = low === high ? Math.abs(low) / 2 || 1 : (high - low) * 0.06;
  return { low: low - room, high: high + room, inside };
}

/** From the first x to the last; one x alone has room on both sides. */
export function xRange(plot: Plot): Range {
  const low = plot.x[0] ?? 0;
  const high = plot.x.at(-1) ?? 1;
  return low === high ? { low: low - 0.5, high: high + 0.5 } : { low, high };
}

/** The last x at or before `x`; the first where there is none. */
export function indexAt(xs: number[], x: number): number {
  let low = 0;
  let high = xs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((xs[middle] ?? Infinity) <= x) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}
