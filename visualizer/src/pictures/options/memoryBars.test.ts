import { expect, test } from "vitest";
import { bytes, memoryView } from "../../../testing/gallery/examples";
import { frameOf, svgOf, wordsOf } from "../../../testing/look";
import type { MemoryView } from "../../api/types";
import type { Picture } from "../frame";
import { fullest, memoryBars } from "./memoryBars";

const GIB = 2 ** 30;
const words = wordsOf();

function drawn(view: MemoryView, width = 900, selected?: number): string {
  return svgOf(memoryBars(view, words, selected) as Picture, frameOf(width));
}

test("no ranks: nothing to draw", () => {
  expect(memoryBars(memoryView(0), words)).toBeNull();
});

test("parts in the order of the planner, the reserve the last, and the total in words", () => {
  const svg = drawn(memoryView(2));
  for (const text of ["parameters", "reserve", "budget 40.0 GiB", "38.0 GiB (95 %)", "rank 1"]) {
    expect(svg).toContain(text);
  }
});

test("the reserve is part of the bar", () => {
  const view = memoryView(1, 40 * GIB);
  const { series } = memoryBars(view, words)?.draw(frameOf()).option as {
    series: { data: { value: number }[] }[];
  };
  const length = series.reduce((sum, { data }) => sum + (data[0]?.value ?? 0), 0);
  expect(length).toBeCloseTo(40, 6);
});

test("over the budget is said in words", () => {
  expect(drawn(memoryView(1, 47 * GIB))).toContain("47.0 GiB (118 %, over budget)");
});

test("a budget a hundred times as large is named at the edge", () => {
  const svg = drawn(memoryView(2, 0.4 * GIB));
  expect(svg).toContain("budget 40.0 GiB, beyond this axis →");
  expect(svg).toContain("410 MiB");
});

test("without a budget no share is made up", () => {
  const view = { ...memoryView(1, 10 * GIB, null), device: null };
  expect(drawn(view)).not.toContain("%");
  expect(memoryBars(view, words)?.table.rows[0]?.at(-1)).toEqual({ text: "", value: null });
});

test("narrow: totals stand below the names", () => {
  const svg = drawn(memoryView(2), 360, 1);
  expect(svg).toContain("▸ rank 1");
  expect(svg).not.toContain("(95 %)");
  expect(svg).toContain(">38.0 GiB<");
});

test("4096 ranks: the fullest of each run of neighbours", () => {
  const view = memoryView(4096);
  const spike = view.ranks[2000];
  if (spike) spike.total = bytes(200 * GIB);
  const rows = fullest(view.ranks, 48);
  expect(rows.length).toBeLessThanOrEqual(48);
  expect(rows.reduce((sum, { of }) => sum + of, 0)).toBe(4096);
  expect(rows.some(({ rank }) => rank.pp_rank === 2000)).toBe(true);
  expect(memoryBars(view, words)?.table.rows.length).toBe(4096);
  expect(drawn(view).length).toBeGreaterThan(0);
});

test("what is no number does not stop the picture", () => {
  const view = memoryView(2);
  const [rank] = view.ranks;
  if (rank) rank.share_of_budget = NaN;
  expect(drawn(view)).toContain("38.0 GiB");
});

test("in words and in Chinese", () => {
  const view = memoryView(2);
  expect(memoryBars(view, words)?.summary).toBe(
    "Memory of each pipeline rank. budget 40.0 GiB. rank 0: 38.0 GiB (95 %); rank 1: 32.3 GiB (81 %)",
  );
  const chinese = frameOf(900, "dark", "zh");
  expect(svgOf(memoryBars(view, chinese) as Picture, chinese)).toContain("优化器");
});
