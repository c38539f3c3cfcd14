import { expect, test } from "vitest";
import * as examples from "../../../testing/gallery/examples";
import { frameOf, svgOf, wordsOf } from "../../../testing/look";
import type { ResultsView, RunView } from "../../api/types";
import type { Picture } from "../frame";
import { frontier } from "./frontier";
import { leaves, memoryTree } from "./memoryTree";
import { compareMemory, compareTime, difference } from "./pairBars";
import { runMemory, runRows } from "./runMemory";
import { sweep, sweepLines } from "./sweep";
import { timeParts } from "./timeParts";

const GIB = 2 ** 30;
const words = wordsOf();

function svg(picture: Picture | null, width = 900): string {
  expect(picture).not.toBeNull();
  return picture ? svgOf(picture, frameOf(width)) : "";
}

test.each([360, 900])("tree: parts with their amounts, %d wide", (width) => {
  const detail = examples.memoryDetail();
  expect(svg(memoryTree(detail, words), width)).toContain("parameters  6.40 GiB");
  expect(memoryTree({ ...detail, tree: [] }, words)).toBeNull();
});

test("tree: what takes nothing is left out of the picture, not of the table", () => {
  const tree = [
    {
      name: "parameters",
      bytes: 8,
      text: "8 B",
      children: [{ name: "layer 0", bytes: 8, text: "8 B" }],
    },
    { name: "gradients", bytes: 0, text: "0 B" },
  ];
  const picture = memoryTree({ ...examples.memoryDetail(), tree }, words);
  expect(picture?.summary).toContain("parameters 8 B.");
  expect(picture?.table.rows.map((row) => row.map(({ text }) => text))).toEqual([
    ["parameters", "layer 0", "", "8 B"],
    ["gradients", "", "", "0 B"],
  ]);
  expect(leaves(tree).reduce((sum, leaf) => sum + leaf.bytes, 0)).toBe(8);
});

test("step: parts in words, the narrowest without", () => {
  const { step, parts } = examples.timeView();
  const drawn = svg(timeParts(step, parts, words));
  expect(drawn).toContain("computing 72 %");
  expect(drawn).toContain("bubble  230 ms");
  expect(timeParts(step, [], words)).toBeNull();
  const nothing = parts.map((part) => ({ ...part, ms: 0 }));
  expect(timeParts(step, nothing, words)).toBeNull();
});

test("frontier: a step for each budget, up to the end", () => {
  const view = examples.frontierView();
  const picture = frontier(view, examples.bytes(40 * GIB), words);
  expect(svg(picture)).toContain("asked: 40.0 GiB");
  expect(picture?.rows).toEqual([[0, 1, 2, 3, 4, 5]]);
  expect(picture?.table.columns.map(({ key }) => key)).toEqual([
    "from_bytes",
    "step_ms",
    "tokens_per_second",
    "brief",
  ]);
});

test("frontier: one step, none, and a row without a plan", () => {
  const view = examples.frontierView();
  expect(
    svg(frontier({ ...view, rows: view.rows.slice(0, 1), json: null }, null, words)),
  ).toContain("step time, s");
  expect(frontier({ ...view, rows: [] }, null, words)).toBeNull();
  const gap = view.rows.map((row, i) =>
    i === 1 ? row.map(() => ({ text: "", value: null })) : row,
  );
  expect(frontier({ ...view, rows: gap }, null, words)?.rows).toEqual([[0, 2, 3, 4, 5]]);
});

test("sweep: lines by what is chosen beside what runs along", () => {
  const { along, names, lines } = sweepLines(examples.sweepView());
  expect(along).toBe("batch");
  expect(names).toEqual(["8", "16", "32", "64"]);
  expect(lines.map(({ name }) => name)).toEqual(["8xA100", "2x8xA100", "8xH100"]);
  expect(lines[0]?.points.map((row) => row !== null)).toEqual([true, true, true, false]);
  expect(svg(sweep(examples.sweepView(), words))).toContain("8xH100");
});

test("sweep: nothing fits, or nothing was varied", () => {
  const view = examples.sweepView();
  const none: ResultsView = {
    ...view,
    rows: view.rows.map((row) => row.map(({ text }) => ({ text, value: null }))),
  };
  expect(sweep(none, words)).toBeNull();
  expect(sweep({ ...view, rows: view.rows.slice(0, 1) }, words)).toBeNull();
});

test("comparison: what differs is marked", () => {
  const view = examples.comparison();
  const drawn = svg(compareTime(view, words));
  expect(drawn).toContain("▲ recomputation");
  expect(drawn).not.toContain("▲ computing");
  expect(svg(compareMemory(view, words), 360)).toContain("18.4 GiB");
  expect(compareTime({ ...view, parts: [] }, words)).toBeNull();
  const many = Array.from({ length: 100 }, (_, pp_rank) => ({
    pp_rank,
    one: examples.bytes(pp_rank),
    other: null,
  }));
  expect(compareMemory({ ...view, memory: many }, words)?.table.rows.length).toBe(100);
  expect(svg(compareMemory({ ...view, memory: many }, words))).toContain("rank 99");
});

test("comparison: half a percent is the same", () => {
  const side = (value: number) => ({ value, text: "" });
  expect(difference([side(1000), side(1004)])).toBe("");
  expect(difference([side(1000), side(1010)])).toBe("▲");
  expect(difference([side(1000), side(900)])).toBe("▼");
  expect(difference([null, null])).toBe("");
  expect(difference([null, side(5)])).toBe("▲");
});

test("run: measured beside predicted, the reserve at the end of both", () => {
  const { memory } = examples.runView(3, 2);
  const picture = runMemory(memory, words);
  expect(svg(picture)).toContain("27.6 GiB predicted");
  const { series } = picture?.draw(frameOf()).option as {
    series: { stack: string; data: { value: number }[] }[];
  };
  const length = (stack: string) =>
    series
      .filter((one) => one.stack === stack)
      .reduce((sum, { data }) => sum + (data[0]?.value ?? 0), 0);
  expect(length("predicted")).toBeCloseTo(30, 6);
  expect(length("measured")).toBeCloseTo(27 + 0.08 * 30, 6);
});

test("run: only measured, only predicted, nothing", () => {
  const rank = {
    rank: 0,
    stage: 0,
    measured: examples.bytes(3 * GIB),
    predicted: null,
    parts: null,
  };
  const memory: RunView["memory"] = { budget: null, ranks: [rank] };
  expect(svg(runMemory(memory, words))).toContain("3.00 GiB");
  const predicted = { ...rank, measured: null, predicted: examples.bytes(2 * GIB) };
  expect(svg(runMemory({ budget: null, ranks: [predicted] }, words))).toContain(
    "2.00 GiB predicted",
  );
  expect(runMemory({ budget: null, ranks: [{ ...rank, measured: null }] }, words)).toBeNull();
  expect(runMemory({ budget: null, ranks: [] }, words)).toBeNull();
});

test("run: 4096 ranks as the fullest of each run of neighbours", () => {
  const { ranks } = examples.runView(1, 4096).memory;
  const rows = runRows(ranks);
  expect(rows.length).toBe(32);
  expect(rows.reduce((sum, { of }) => sum + of, 0)).toBe(4096);
  expect(svg(runMemory({ budget: null, ranks }, words))).toContain("fullest of 128");
});
