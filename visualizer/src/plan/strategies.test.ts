import { expect, it } from "vitest";
import type { LayerView } from "../api/types";
import { letterOf, strategiesOf, stripOf } from "./strategies";

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

it("puts layers under their stages", () => {
  const stage = (index: number) => ({
    ...{ stage: index, pp_rank: index, chunk: 0 },
    layers: [0, 0] as [number, number],
    ranks: [0, 0] as [number, number],
  });
  const strip = stripOf([layer(0, 0, ""), layer(1, 1, ""), layer(2, 1, "")], [stage(0), stage(1)]);
  expect(strip.map((part) => part.layers.map((one) => one.index))).toEqual([[0], [1, 2]]);
});
