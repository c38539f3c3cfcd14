// The page's theme as pictures need it: what a canvas draws with, since it knows no CSS.
import type { Colors } from "../theme/theme";

export interface Look {
  /** color("part-master"), of theme/tokens.css. */
  color: Colors;
  dark: boolean;
  font: string;
}

/** Series that have no colour of their own, told apart by form too: see `nthDash`. */
const SERIES = [
  "part-parameters",
  "part-activations",
  "part-gradients",
  "part-optimizer",
  "part-transient",
  "part-reserve",
];
const DASHES: number[][] = [[], [8, 4], [2, 3], [10, 3, 2, 3]];

export function nthColor(look: Look, n: number): string {
  return look.color(SERIES[n % SERIES.length] ?? "text");
}

export function nthDash(n: number): number[] {
  return DASHES[n % DASHES.length] ?? [];
}

function channels(hex: string): number[] {
  const value = parseInt(hex.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/** WCAG's relative luminance of "#rrggbb". */
export function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = channels(hex).map((channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Black or white, whichever reads better on it. */
export function inkOn(hex: string): string {
  const bright = luminance(hex);
  return (bright + 0.05) / 0.05 > 1.05 / (bright + 0.05) ? "#000000" : "#ffffff";
}

/** "#rrggbb" as seen through. */
export function faded(hex: string, opacity: number): string {
  return `rgba(${channels(hex).join(", ")}, ${opacity})`;
}

/** Patterns beside hues: no reader has to tell things apart by colour alone. */
export type Pattern = "plain" | "rising" | "falling" | "dots" | "upright" | "crossed";

/** Of ECharts. */
export function decal(look: Look, pattern: Pattern): object | undefined {
  const color = look.dark ? "rgba(0, 0, 0, 0.3)" : "rgba(255, 255, 255, 0.4)";
  const lines = (rotation: number, gap = 7) => ({
    symbol: "rect",
    symbolSize: 1,
    color,
    dashArrayX: [1, 0],
    dashArrayY: [2, gap],
    rotation,
  });
  switch (pattern) {
    case "plain":
      return undefined;
    case "rising":
      return lines(-Math.PI / 4);
    case "falling":
      return lines(Math.PI / 4);
    case "upright":
      return lines(Math.PI / 2);
    case "crossed":
      return lines(0, 4);
    case "dots":
      return {
        symbol: "circle",
        symbolSize: 0.4,
        color,
        dashArrayX: [
          [8, 8],
          [0, 8, 8, 0],
        ],
        dashArrayY: [8, 0],
      };
  }
}
