import { expect, it } from "vitest";
import { pointByKey } from "./pointKeys";

it("goes from point to point and stays within them", () => {
  expect(pointByKey(3, null, "ArrowRight")).toBe(0);
  expect(pointByKey(3, 0, "ArrowDown")).toBe(1);
  expect(pointByKey(3, 2, "ArrowRight")).toBe(2);
  expect(pointByKey(3, 0, "ArrowLeft")).toBe(0);
  expect(pointByKey(3, 1, "End")).toBe(2);
  expect(pointByKey(3, 2, "Home")).toBe(0);
  expect(pointByKey(3, 1, "Tab")).toBeNull();
  expect(pointByKey(0, null, "Home")).toBeNull();
});
