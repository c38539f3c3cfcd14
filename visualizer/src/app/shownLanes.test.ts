import { expect, it } from "vitest";
import { laneCounts, shownLanes } from "./shownLanes";

it("shows all of few ranks and some of many", () => {
  expect(shownLanes(null, 4)).toEqual({ from: 0, count: 4 });
  expect(shownLanes(null, 64)).toEqual({ from: 0, count: 8 });
  expect(laneCounts(1)).toEqual([1]);
  expect(laneCounts(6)).toEqual([1, 2, 4, 6]);
  expect(laneCounts(8)).toEqual([1, 2, 4, 8]);
});

it("stays within the ranks of the plan", () => {
  expect(shownLanes({ from: 60, count: 8 }, 64)).toEqual({ from: 56, count: 8 });
  expect(shownLanes({ from: 60, count: 8 }, 4)).toEqual({ from: 0, count: 4 });
  expect(shownLanes({ from: -3, count: 0 }, 4)).toEqual({ from: 0, count: 1 });
});
