// A Plot as SVG text: uPlot draws on a canvas alone.
import { textWidth } from "./frame";
import type { Look } from "./look";
import { heights, type Plot, xRange, yRange } from "./plot";
import { xTicksOf, yTicksOf } from "./uplotOptions";

const LEFT = 64;
const TOP = 48;
const RIGHT = 12;
const BOTTOM = 44;

export function escaped(text: string): string {
  return text.replace(
    /[&<>"]/g,
    (char) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[char] ?? char,
  );
}

type Place = (value: number) => number;

/** From values to pixels. */
function places(plot: Plot, width: number, height: number): { x: Place; y: Place } {
  const xs = xRange(plot);
  const ys = yRange(plot);
  const scale = (value: number) => (plot.logarithmic ? Math.log10(value) : value);
  const share = (value: number, low: number, high: number) => (value - low) / (high - low || 1);
  return {
    x: (value) => LEFT + share(value, xs.low, xs.high) * (width - LEFT - RIGHT),
    y: (value) =>
      height -
      BOTTOM -
      share(scale(value), scale(ys.low), scale(ys.high)) * (height - TOP - BOTTOM),
  };
}

const short = (value: number) => String(Math.round(value * 100) / 100);

/** The outline of one row of values: lines, or steps that hold until the next x. Gaps begin anew. */
export function outline(
  xs: number[],
  row: (number | null)[],
  { x, y }: { x: Place; y: Place },
  steps: boolean,
): string {
  let out = "";
  let open = false;
  row.forEach((value, i) => {
    const at = xs[i];
    if (value === null || at === undefined) {
      open = false;
      return;
    }
    if (!open) out += `M${short(x(at))} ${short(y(value))}`;
    else if (steps) out += `H${short(x(at))}V${short(y(value))}`;
    else out += `L${short(x(at))} ${short(y(value))}`;
    open = true;
  });
  return out;
}

function seriesSvg(plot: Plot, at: { x: Place; y: Place }, look: Look): string {
  const rows = heights(plot);
  const base = at.y(yRange(plot).low);
  const drawn = plot.series.map((one, i) => {
    const row = rows[i] ?? [];
    const color = look.color(one.color);
    if (one.points) {
      return row
        .map((value, j) =>
          value === null
            ? ""
            : `<circle cx="${short(at.x(plot.x[j] ?? 0))}" cy="${short(at.y(value))}" r="4" fill="none" stroke="${color}" stroke-width="2"/>`,
        )
        .join("");
    }
    const path = outline(plot.x, row, at, plot.stacked);
    if (!path) return "";
    const dash = one.dash ? ` stroke-dasharray="${one.dash.join(" ")}"` : "";
    if (!plot.stacked) {
      return `<path d="${path}" fill="none" stroke="${color}" stroke-width="${one.width ?? 2}" opacity="${one.opacity ?? 1}"${dash}/>`;
    }
    const closed = `${path}V${short(base)}H${short(at.x(plot.x[0] ?? 0))}Z`;
    return `<path d="${closed}" fill="${color}" stroke="${look.color("ground")}"/>`;
  });
  // The highest sum first: each one covers what lies above it.
  return (plot.stacked ? drawn.reverse() : drawn).join("");
}

interface LegendPlace {
  x: number;
  y: number;
}

function legendPlaces(plot: Plot, width: number): LegendPlace[] {
  let x = LEFT;
  let y = 16;
  return plot.series.map(({ name }) => {
    const size = textWidth(name) + 30;
    if (x > LEFT && x + size > width) {
      x = LEFT;
      y += 16;
    }
    const place = { x, y };
    x += size;
    return place;
  });
}

function textSvg(x: number, y: number, text: string, color: string, anchor = "start"): string {
  return `<text x="${short(x)}" y="${short(y)}" fill="${color}" text-anchor="${anchor}">${escaped(text)}</text>`;
}

function axesSvg(
  plot: Plot,
  at: { x: Place; y: Place },
  width: number,
  height: number,
  look: Look,
): string {
  const xs = xRange(plot);
  const ys = yRange(plot);
  const soft = look.color("text-soft");
  const across = yTicksOf(plot, ys.low, ys.high, 6).map(
    (value) =>
      `<path d="M${LEFT} ${short(at.y(value))}H${width - RIGHT}" stroke="${look.color("line")}"/>` +
      textSvg(LEFT - 6, at.y(value) + 4, plot.yTick(value), soft, "end"),
  );
  const along = xTicksOf(plot, xs.low, xs.high, width).map((value) =>
    textSvg(at.x(value), height - BOTTOM + 16, plot.xTick(value), soft, "middle"),
  );
  const name = textSvg((LEFT + width - RIGHT) / 2, height - 8, plot.xName, soft, "middle");
  return across.join("") + along.join("") + name;
}

function marksSvg(plot: Plot, at: { x: Place; y: Place }, width: number, look: Look): string {
  const { inside } = yRange(plot);
  const limits = plot.limits.map((limit, i) => {
    const color = look.color(limit.color);
    const y = inside[i] ? at.y(limit.value) : TOP;
    const line = inside[i]
      ? `<path d="M${LEFT} ${short(y)}H${width - RIGHT}" stroke="${color}" stroke-width="2"/>`
      : "";
    return (
      line +
      textSvg(width - RIGHT - 4, y - 5, inside[i] ? limit.text : `${limit.text} ↑`, color, "end")
    );
  });
  if (!plot.mark) return limits.join("");
  const [x, y] = [at.x(plot.mark.x), at.y(plot.mark.y)];
  const color = look.color("text");
  const anchor = x < width / 2 ? "start" : "end";
  return (
    limits.join("") +
    `<circle cx="${short(x)}" cy="${short(y)}" r="4" fill="${color}"/>` +
    textSvg(
      x + (anchor === "start" ? 8 : -8),
      Math.max(TOP + 12, y - 7),
      plot.mark.text,
      color,
      anchor,
    )
  );
}

export function plotSvg(plot: Plot, width: number, height: number, look: Look): string {
  const at = places(plot, width, height);
  const legend = legendPlaces(plot, width).map(({ x, y }, i) => {
    const one = plot.series[i];
    if (!one) return "";
    const key = `<rect x="${x}" y="${y - 10}" width="12" height="12" fill="${look.color(one.color)}"/>`;
    return key + textSvg(x + 17, y, one.name, look.color("text"));
  });
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" ` +
    `font-family="${escaped(look.font)}" font-size="12" role="img">` +
    `<title>${escaped(plot.title)}</title><rect width="100%" height="100%" fill="${look.color("ground")}"/>` +
    axesSvg(plot, at, width, height, look) +
    seriesSvg(plot, at, look) +
    marksSvg(plot, at, width, look) +
    `${legend.join("")}</svg>`
  );
}
