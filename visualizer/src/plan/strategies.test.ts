import { describe, expect, it } from "vitest";
import type { LayerView } from "../api/types";
import {
  cellsBetween,
  chosenCells,
  layersOf,
  letterOf,
  strategiesOf,
  stripOf,
  type StripStages,
} from "./strategies";

const layer = (index: number, stage: number, strategy_text: string): LayerView => ({
  ...{ index, stage, strategy_text, kind: "block", strategy: {}, dp_degree: 1, num_params: 0 },
});

it("gives each strategy a letter in the order of its first layer", () => {
  const keys = strategiesOf([layer(0, 0, "tp2"), layer(1, 0, "zero3"), layer(2, 1, "tp2")]);
  expect(keys.map(({ letter, text, layers }) => ({ letter, text, layers }))).toEqual([
    { letter: "A", text: "tp2", layers: [0, 2] },
    { letter: "B", text: "zero3", layers: [1] },
  ]);
  expect([0, 25, 26, 27, 701, 702].map(letterOf)).toEqual(["A", "Z", "AA", "AB", "ZZ", "AAA"]);
});

const stage = (index: number) => ({
  ...{ stage: index, pp_rank: index, chunk: 0 },
  layers: [0, 0] as [number, number],
  ranks: [0, 0] as [number, number],
});

it("puts layers under their stages", () => {
  const strip = stripOf([layer(0, 0, ""), layer(1, 1, ""), layer(2, 1, "")], [stage(0), stage(1)]);
  expect(indices(strip)).toEqual([[[0]], [[1], [2]]]);
});

const indices = (strip: StripStages[]) =>
  strip.map((part) => part.cells.map((cell) => cell.layers.map((one) => one.index)));

describe("stages that are alike", () => {
  // Two layers each: the first and the last stage are their own.
  const kinds = ["emb", "b", "b", "b", "b", "b", "b", "head"];
  const layers = kinds.map((kind, i) => ({ ...layer(i, i >> 1, "tp2"), kind }));
  const stages = [0, 1, 2, 3].map(stage);

  it("are one, each cell a layer of each of them", () => {
    const strip = stripOf(layers, stages, true);
    expect(indices(strip)).toEqual([
      [[0], [1]],
      [
        [2, 4],
        [3, 5],
      ],
      [[6], [7]],
    ]);
    expect(strip.map((part) => part.stages.length)).toEqual([1, 2, 1]);
  });

  it("are by themselves where one has a problem, or a strategy of its own", () => {
    expect(stripOf(layers, stages, true, 4)).toHaveLength(4);
    const other = layers.map((one) => (one.index === 5 ? { ...one, strategy_text: "tp4" } : one));
    expect(stripOf(other, stages, true)).toHaveLength(4);
  });

  it("are chosen together, and as ranges", () => {
    const strip = stripOf(layers, stages, true);
    expect(chosenCells(strip, [1, 2, 3, 4])).toEqual(["1", "2"]);
    expect(layersOf(strip, new Set(["2", "7"]))).toEqual([2, 4, 7]);
    expect([...cellsBetween(strip, "6", "2")]).toEqual(["2", "3", "6"]);
  });
});
