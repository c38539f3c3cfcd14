import { expect, test } from "vitest";
import { bytes, memoryDetail, runView } from "../../../testing/gallery/examples";
import { lookOf, wordsOf } from "../../../testing/look";
import type { RunView } from "../../api/types";
import { heights, indexAt, type Plot, xRange, yRange } from "../plot";
import { plotSvg } from "../plotSvg";
import { nextIndex } from "../plotKeys";
import { uplotOptions } from "../uplotOptions";
import { memoryOverTime, memoryOverTimeTable } from "./memoryOverTime";
import { lossPlot, metricPlot, otherMetrics, plotTable } from "./metrics";
import { smoothed, usualSmoothing } from "./smooth";

const GIB = 2 ** 30;
const words = wordsOf();
const look = lookOf("light");

function run(metrics: RunView["metrics"], evaluations: RunView["evaluations"] = {}): RunView {
  return { ...runView(1), metrics, evaluations };
}

function drawn(plot: Plot | null): string {
  expect(plot).not.toBeNull();
  if (!plot) return "";
  const { data } = uplotOptions(plot, look, undefined);
  expect(data.length).toBe(plot.series.length + 1);
  for (const column of data) expect(column.length).toBe(plot.x.length);
  const svg = plotSvg(plot, 800, 340, look);
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  return svg;
}

test("smoothing begins at the first value and ends with an average", () => {
  expect(smoothed([5, 5, 5], 0.9)).toEqual([5, 5, 5].map((value) => expect.closeTo(value, 12)));
  const values = Array.from({ length: 200 }, () => 1);
  values.push(11);
  expect(smoothed(values, 0.9).at(-1)).toBeCloseTo(2, 6);
  expect(smoothed([4, 2], 0.5)).toEqual([4, expect.closeTo(8 / 3, 12)]);
});

test("smoothing keeps gaps and goes on after them; without it nothing changes", () => {
  expect(smoothed([1, null, 1], 0.9)).toEqual([1, null, expect.closeTo(1, 12)]);
  expect(smoothed([null, null], 0.9)).toEqual([null, null]);
  expect(smoothed([3, 1, 2], 0)).toEqual([3, 1, 2]);
  expect([usualSmoothing(3), usualSmoothing(100_000)]).toEqual([0, 0.95]);
});

test("memory over time: the highest sum is the peak of the prediction", () => {
  const detail = memoryDetail();
  const plot = memoryOverTime(detail, bytes(40 * GIB), words);
  const sums = plot ? (heights(plot).at(-1) ?? []) : [];
  expect(Math.max(...sums.map((sum) => sum ?? 0))).toBe(detail.peak.total.value);
  const svg = drawn(plot);
  expect(svg).toContain(`peak ${detail.peak.total.text} at`);
  expect(svg).toContain("budget 40.0 GiB");
  expect(memoryOverTimeTable(detail, words).rows.length).toBe(detail.over_time.ms.length);
});

test("memory over time: a far budget is named at the edge, none is not, no moments are nothing", () => {
  const detail = memoryDetail();
  expect(drawn(memoryOverTime(detail, bytes(4000 * GIB), words))).toContain("budget 3.91 TiB ↑");
  expect(drawn(memoryOverTime(detail, null, words))).not.toContain("budget");
  expect(memoryOverTime({ ...detail, over_time: { ms: [], parts: {} } }, null, words)).toBeNull();
  const one = { ms: [0], parts: { parameters: [GIB] } };
  drawn(
    memoryOverTime(
      { ...detail, over_time: one, peak: { ms: 0, total: bytes(GIB), alive: [] } },
      null,
      words,
    ),
  );
});

test("loss: raw, smoothed and the evaluations, each at its step", () => {
  const plot = lossPlot(
    run({ step: [1, 2, 3], loss: [3, 2, 1] }, { step: [2, 4], validation_loss: [2.5, 1.5] }),
    0.5,
    false,
    words,
  );
  expect(plot?.x).toEqual([1, 2, 3, 4]);
  expect(plot?.series.map(({ name }) => name)).toEqual([
    "Loss",
    "Loss, smoothed",
    "Validation loss",
  ]);
  expect(plot?.series[0]?.values).toEqual([3, 2, 1, null]);
  expect(plot?.series[2]?.values).toEqual([null, 2.5, null, 1.5]);
  expect(drawn(plot)).toContain("<circle");
  expect(plot && plotTable(plot).rows.map((row) => row[3]?.value)).toEqual([null, 2.5, null, 1.5]);
});

test("loss: one point, gaps, what is no number, and nothing", () => {
  drawn(lossPlot(run({ step: [7], loss: [3] }), 0, false, words));
  const odd = [3, null, NaN, Infinity] as (number | null)[];
  expect(
    lossPlot(run({ step: [1, 2, 3, 4], loss: odd }), 0, false, words)?.series[0]?.values,
  ).toEqual([3, null, null, null]);
  expect(lossPlot(run({ step: [1], loss: [null] }), 0, false, words)).toBeNull();
  expect(lossPlot(run({}), 0.9, true, words)).toBeNull();
  drawn(
    lossPlot(
      run({ step: [1, 2], loss: [null, null] }, { step: [2], validation_loss: [1] }),
      0.5,
      false,
      words,
    ),
  );
});

test("a logarithmic scale has no place for 0 and below", () => {
  const plot = lossPlot(run({ step: [1, 2, 3], loss: [10, 0, -1] }), 0, true, words);
  expect(plot && heights(plot)[0]).toEqual([10, null, null]);
  drawn(plot);
  const none = lossPlot(run({ step: [1], loss: [0] }), 0, true, words);
  expect(none && yRange(none)).toMatchObject({ low: 1, high: 10 });
  drawn(none);
});

test("evaluations beside the loss have pictures of their own, at their steps", () => {
  const some = run(
    { step: [1, 2, 3, 4], loss: [4, 3, 2, 1] },
    { step: [2, 4], validation_loss: [2.5, 1.5], validation_accuracy: [0.25, 0.75] },
  );
  expect(otherMetrics(some)).toEqual(["validation_accuracy"]);
  const plot = metricPlot(some, "validation_accuracy", words);
  expect(plot?.title).toBe("Validation accuracy");
  expect(plot?.x).toEqual([2, 4]);
  expect(plot?.series[0]?.values).toEqual([0.25, 0.75]);
  expect(drawn(plot)).toContain("<circle");
  const loss = lossPlot(some, 0, false, words);
  expect(loss?.series.map(({ name }) => name)).toEqual(["Loss", "Validation loss"]);
});

test("other metrics: those with values, a constant one with room around it", () => {
  const some = run({
    step: [1, 2],
    loss: [1, 1],
    seconds: [1, 1],
    lr: [0.1, 0.1],
    mfu: [null, null],
  });
  expect(otherMetrics(some)).toEqual(["lr"]);
  const plot = metricPlot(some, "lr", words);
  expect(plot && yRange(plot)).toMatchObject({
    low: 0.05,
    high: expect.closeTo(0.15, 12) as number,
  });
  drawn(plot);
  expect(metricPlot(some, "mfu", words)).toBeNull();
});

test("a hundred thousand steps", () => {
  const steps = Array.from({ length: 100_000 }, (_, i) => i);
  expect(
    drawn(
      lossPlot(
        run({ step: steps, loss: steps.map((step) => 1 + 1 / (step + 1)) }),
        0.95,
        false,
        words,
      ),
    ).length,
  ).toBeGreaterThan(0);
});

test("ranges and places along x", () => {
  const plot = metricPlot(run({ step: [5], loss: [], lr: [1] }), "lr", words);
  expect(plot && xRange(plot)).toEqual({ low: 4.5, high: 5.5 });
  expect([
    indexAt([1, 3, 5], 0),
    indexAt([1, 3, 5], 3),
    indexAt([1, 3, 5], 4.9),
    indexAt([1, 3, 5], 9),
  ]).toEqual([0, 1, 1, 2]);
  expect(indexAt([], 3)).toBe(0);
});

test("arrow keys begin at the mark and stay within", () => {
  const plot = memoryOverTime(memoryDetail(), null, words);
  if (!plot) throw new Error("no plot");
  const peak = indexAt(plot.x, plot.mark?.x ?? 0);
  expect(nextIndex(plot, null, "ArrowRight")).toBe(peak);
  expect(nextIndex(plot, peak, "ArrowRight")).toBe(peak + 1);
  expect(nextIndex(plot, 0, "ArrowLeft")).toBe(0);
  expect(nextIndex(plot, 0, "End")).toBe(plot.x.length - 1);
  expect(nextIndex(plot, 0, "a")).toBeNull();
});

test("texts cannot end the SVG", () => {
  const plot = metricPlot(run({ step: [1], '<script>&"': [1] }), '<script>&"', words);
  expect(plot && plotSvg(plot, 400, 300, look)).not.toContain("<script>");
});
