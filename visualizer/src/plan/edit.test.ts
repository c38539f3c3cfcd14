import { describe, expect, it } from "vitest";
import type { JsonObject, PlanView, StrategyField } from "../api/types";
import {
  balanced,
  divisors,
  layersThatFit,
  moveBorder,
  pipelineOf,
  withDegree,
  withStrategy,
} from "./edit";

const plan: JsonObject = {
  num_microbatches: 8,
  pipeline: { degree: 2, schedule: "1f1b", layers_per_stage: [2, 3] },
  layers: [{ count: 1, tp_degree: 2 }, { count: 1 }, { count: 1 }, { count: 1 }, { count: 1 }],
};
const tp: StrategyField = {
  name: "tp_degree",
  default: 1,
  help: "",
  choices: null,
  misfits: {},
  supported: true,
};

describe("strategies of layers", () => {
  it("reach the layers whose kind can have them", () => {
    const kinds = ["embedding", "block", "block", "head"];
    const view = { layers: kinds.map((kind, index) => ({ kind, index })) } as PlanView;
    const field = { ...tp, name: "recompute", misfits: { full: ["embedding", "head"] } };
    expect(layersThatFit(view, [0, 1, 2, 3], field, "full")).toEqual([1, 2]);
    expect(layersThatFit(view, [0, 3], field, "full")).toEqual([]);
    expect(layersThatFit(view, [0, 1], field, "none")).toEqual([0, 1]);
  });

  it("are set where chosen, and the plan before stays as it was", () => {
    const changed = withStrategy(plan, [1, 2], tp, 4);
    expect(changed.layers).toEqual([
      { count: 1, tp_degree: 2 },
      { count: 1, tp_degree: 4 },
      { count: 1, tp_degree: 4 },
      { count: 1 },
      { count: 1 },
    ]);
    expect((plan.layers as JsonObject[])[1]).toEqual({ count: 1 });
  });

  it("leave out what is the default", () => {
    expect((withStrategy(plan, [0], tp, 1).layers as JsonObject[])[0]).toEqual({ count: 1 });
  });
});

describe("stages", () => {
  it("pass layers over their border, and keep one at least", () => {
    expect(pipelineOf(moveBorder(plan, 0, 1)).layersPerStage).toEqual([3, 2]);
    expect(pipelineOf(moveBorder(plan, 0, -1)).layersPerStage).toEqual([1, 4]);
    expect(moveBorder(plan, 0, -2)).toBe(plan);
    expect(moveBorder(plan, 1, 1)).toBe(plan);
  });

  it("are balanced anew for another degree, two to a rank where they interleave", () => {
    expect(pipelineOf(withDegree(plan, 4, "1f1b")).layersPerStage).toEqual([1, 1, 1, 2]);
    expect(pipelineOf(withDegree(plan, 2, "interleaved")).layersPerStage).toEqual([1, 1, 1, 2]);
  });
});

it("balances as the planner does", () => {
  expect(balanced(10, 4)).toEqual([2, 3, 2, 3]);
  expect(divisors(12)).toEqual([1, 2, 3, 4, 6, 12]);
});
