import { expect, test } from "vitest";
import { byteUnit, memoryAxis, shortTick, tick, timeTick, timeUnit } from "./scale";
import { logTicks, niceTicks } from "./ticks";

const GIB = 2 ** 30;
const amount = (value: number) => ({ value, text: "" });

test("one unit for a whole axis", () => {
  expect(byteUnit(3 * GIB).name).toBe("GiB");
  expect(byteUnit(GIB - 1).name).toBe("MiB");
  expect(byteUnit(0).name).toBe("B");
  expect(timeUnit(1500).name).toBe("s");
  expect(timeUnit(0).name).toBe("us");
});

test("ticks carry no noise of binary fractions", () => {
  expect(tick(0.1 + 0.2)).toBe("0.3");
  expect(timeTick(950)).toBe("950 ms");
  expect(timeTick(1050)).toBe("1.05 s");
  expect(timeTick(0)).toBe("0");
  expect(shortTick(13_600)).toBe("13.6k");
  expect(shortTick(6e-4)).toBe("6e-4");
  expect(shortTick(2.5e9)).toBe("2.5B");
});

test("an axis reaches a budget that its bars come near to", () => {
  const { end, inside } = memoryAxis(30 * GIB, [amount(40 * GIB), amount(80 * GIB)]);
  expect(inside).toEqual([true, false]);
  expect(end).toBeCloseTo(42);
});

test("a budget of a hundred times the bars does not flatten them", () => {
  const { end, unit, inside } = memoryAxis(0.4 * GIB, [amount(40 * GIB)]);
  expect(inside).toEqual([false]);
  expect(end * unit.size).toBeLessThan(0.5 * GIB);
});

test("a bar over the budget is seen whole", () => {
  const { end, inside } = memoryAxis(50 * GIB, [amount(40 * GIB), null]);
  expect(inside).toEqual([true, false]);
  expect(end).toBeGreaterThan(50);
});

test("ticks are round and within", () => {
  expect(niceTicks(0, 10, 5)).toEqual([0, 2, 4, 6, 8, 10]);
  expect(niceTicks(0.13, 0.37, 4)).toEqual([0.2, 0.3]);
  expect(niceTicks(5, 5, 4)).toEqual([5]);
  expect(niceTicks(NaN, NaN, 4)).toEqual([]);
  expect(niceTicks(-Infinity, 3, 4)).toEqual([]);
});

test("ticks of powers of ten", () => {
  expect(logTicks(0.9, 120)).toEqual([1, 2, 5, 10, 20, 50, 100]);
  expect(logTicks(1e-6, 1e6)).toEqual([1e-6, 1e-4, 1e-2, 1, 100, 1e4, 1e6]);
  expect(logTicks(3, 3.5).length).toBeGreaterThan(1);
});
