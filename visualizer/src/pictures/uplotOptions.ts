// A Plot as options and data of uPlot.
import type uPlot from "uplot";
import { faded, type Look } from "./look";
import { heights, type Plot, type PlotSeries, xRange, yRange } from "./plot";
import { logTicks, niceTicks } from "./ticks";

export const PLOT_HEIGHT = 300;
const FONT_SIZE = 12;
const FEW = 30; // values that are seen as points too: one between gaps has no line

/** Round numbers in the unit of the axis. */
export function ticksOf(low: number, high: number, unit: number, wanted: number): number[] {
  return niceTicks(low / unit, high / unit, wanted).map((tick) => tick * unit);
}

export function xTicksOf(plot: Plot, low: number, high: number, width: number): number[] {
  const ticks = ticksOf(low, high, plot.xUnit, width / 90);
  return plot.xWhole ? ticks.filter(Number.isInteger) : ticks;
}

export function yTicksOf(plot: Plot, low: number, high: number, wanted: number): number[] {
  return plot.logarithmic ? logTicks(low, high) : ticksOf(low, high, plot.yUnit, wanted);
}

function axis(
  look: Look,
  splits: uPlot.Axis["splits"],
  text: (value: number) => string,
  more: uPlot.Axis,
): uPlot.Axis {
  return {
    stroke: look.color("text-soft"),
    font: `${FONT_SIZE}px ${look.font}`,
    grid: { stroke: look.color("line"), width: 1 },
    ticks: { show: false },
    ...(splits ? { splits } : {}),
    values: (_, values) => values.map((value) => (value === null ? "" : text(value))),
    ...more,
  };
}

function series(
  plot: Plot,
  one: PlotSeries,
  look: Look,
  steps: uPlot.Series.PathBuilder | undefined,
): uPlot.Series {
  const color = look.color(one.color);
  return {
    label: one.name,
    stroke: one.opacity ? faded(color, one.opacity) : color,
    width: plot.stacked ? 1 : (one.width ?? 2),
    ...(one.dash ? { dash: one.dash } : {}),
    ...(plot.stacked ? { fill: faded(color, 0.75) } : {}),
    ...(plot.stacked && steps ? { paths: steps } : {}),
    ...(one.points ? { paths: () => null } : {}),
    points: one.points
      ? { show: true, size: 8, fill: look.color("ground"), stroke: color, width: 2 }
      : { show: !plot.stacked && plot.x.length <= FEW, size: 6 },
  };
}

/** Limits and the mark, over the series. */
function overlay(plot: Plot, look: Look, inside: boolean[]) {
  return (u: uPlot) => {
    const { ctx, bbox } = u;
    const scale = devicePixelRatio;
    ctx.save();
    ctx.font = `${FONT_SIZE * scale}px ${look.font}`;
    ctx.textBaseline = "alphabetic";
    ctx.lineWidth = 2 * scale;
    plot.limits.forEach((limit, i) => {
      const color = look.color(limit.color);
      const y = inside[i] ? u.valToPos(limit.value, "y", true) : bbox.top;
      ctx.strokeStyle = ctx.fillStyle = color;
      ctx.textAlign = "right";
      if (inside[i]) line(ctx, bbox.left, y, bbox.left + bbox.width, y);
      ctx.fillText(
        inside[i] ? limit.text : `${limit.text} ↑`,
        bbox.left + bbox.width - 4 * scale,
        y - 5 * scale,
      );
    });
    if (plot.mark) drawMark(u, plot.mark, look, scale);
    ctx.restore();
  };
}

function line(ctx: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}

function drawMark(u: uPlot, mark: NonNullable<Plot["mark"]>, look: Look, scale: number): void {
  const { ctx, bbox } = u;
  const x = u.valToPos(mark.x, "x", true);
  const y = u.valToPos(mark.y, "y", true);
  if (x < bbox.left - 1 || x > bbox.left + bbox.width + 1) return;
  ctx.strokeStyle = ctx.fillStyle = look.color("text");
  ctx.lineWidth = scale;
  ctx.setLineDash([4 * scale, 3 * scale]);
  line(ctx, x, y, x, bbox.top + bbox.height);
  ctx.setLineDash([]);
  ctx.beginPath();
  ctx.arc(x, y, 4 * scale, 0, 2 * Math.PI);
  ctx.fill();
  const left = x < bbox.left + bbox.width / 2;
  ctx.textAlign = left ? "left" : "right";
  ctx.fillText(
    mark.text,
    x + (left ? 8 : -8) * scale,
    Math.max(bbox.top + 12 * scale, y - 7 * scale),
  );
}

export interface Made {
  options: Omit<uPlot.Options, "width" | "height">;
  data: uPlot.AlignedData;
}

/** `steps`: uPlot's path builder of values that hold until the next. */
export function uplotOptions(
  plot: Plot,
  look: Look,
  steps: uPlot.Series.PathBuilder | undefined,
): Made {
  const y = yRange(plot);
  const x = xRange(plot);
  const options: Made["options"] = {
    padding: [20, 12, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: !plot.stacked, size: 7 }, drag: { x: true, y: false } },
    scales: {
      x: {
        time: false,
        range: (_, low, high) => (low === high || low === null ? [x.low, x.high] : [low, high]),
      },
      y: { distr: plot.logarithmic ? 3 : 1, range: [y.low, y.high] },
    },
    axes: [
      axis(look, (u, _, low, high) => xTicksOf(plot, low, high, u.width), plot.xTick, {
        label: plot.xName,
        size: 26,
        labelSize: 20,
        labelGap: 0,
        labelFont: `${FONT_SIZE}px ${look.font}`,
      }),
      axis(look, (_u, _, low, high) => yTicksOf(plot, low, high, 6), plot.yTick, { size: 64 }),
    ],
    series: [{}, ...plot.series.map((one) => series(plot, one, look, steps))],
    hooks: { draw: [overlay(plot, look, y.inside)] },
    ...(plot.stacked
      ? {
          bands: plot.series
            .slice(1)
            .map((_, i) => ({ series: [i + 2, i + 1] as [number, number] })),
        }
      : {}),
  };
  return { options, data: [plot.x, ...heights(plot)] };
}
