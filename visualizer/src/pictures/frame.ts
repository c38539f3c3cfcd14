// What a picture is drawn with, beside its data, and what it is made into.
import type { EChartsOption } from "./echarts";
import type { Look } from "./look";
import type { Point } from "./pointKeys";
import type { Table } from "./table";
import type { Words } from "./words";

export interface Frame extends Words {
  /** Of the picture, in CSS pixels: what has no room is left out or goes elsewhere. */
  width: number;
  look: Look;
}

export function isNarrow(frame: Frame): boolean {
  return frame.width < 560;
}

export interface Drawing {
  option: EChartsOption;
  height: number;
}

/** A picture by ECharts, and the same in words and as a table. */
export interface Picture {
  /** A sentence or two for who cannot see it. */
  summary: string;
  table: Table;
  draw: (frame: Frame) => Drawing;
  /** What arrow keys go through; without it the table is the way of the keyboard. */
  points?: Point[];
}

/** Width of text in the pictures' small font, near enough to reserve room. */
export function textWidth(text: string, size = 12): number {
  let units = 0;
  for (const letter of text) units += letter.charCodeAt(0) > 0x2e80 ? 1 : 0.55;
  return Math.ceil(units * size);
}
