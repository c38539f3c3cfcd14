import { expect, test } from "vitest";
import { planView } from "../../testing/gallery/examples";
import { layerRuns } from "./layerRuns";

test("neighbours of one strategy, cut at stages, with their kinds", () => {
  const runs = layerRuns(planView(10, 2).layers);
  expect(runs.map(({ stage, layers, kinds }) => [stage, layers, kinds])).toEqual([
    [0, [0, 4], "embedding, 4 x block"],
    [1, [5, 9], "4 x block, head"],
  ]);
  expect(runs.reduce((sum, { count }) => sum + count, 0)).toBe(10);
  expect(layerRuns([])).toEqual([]);
});

test("another strategy, or another data-parallel degree, begins anew", () => {
  const layers = planView(6, 1).layers.map((layer, i) => ({ ...layer, dp_degree: i < 3 ? 8 : 4 }));
  expect(layerRuns(layers).map(({ layers: range }) => range)).toEqual([
    [0, 2],
    [3, 5],
  ]);
});
