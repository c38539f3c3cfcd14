import { expect, test } from "vitest";
import { bytesMore, bytesText, countText, percentMore, timeText } from "./format";

// The literals of tests/base/units_test.cpp.
test("bytes as the planner writes them", () => {
  const [kib, mib, gib] = [2 ** 10, 2 ** 20, 2 ** 30];
  expect(bytesText(12)).toBe("12 B");
  expect(bytesText(17 * kib)).toBe("17.0 KiB");
  expect(bytesText(312 * mib)).toBe("312 MiB");
  expect(bytesText(3 * gib + 512 * mib)).toBe("3.50 GiB");
  expect(bytesText(-2 * mib)).toBe("-2.00 MiB");
  expect(bytesText(gib - 1)).toBe("1.00 GiB");
});

test("times as the planner writes them", () => {
  expect(timeText(1240)).toBe("1.24 s");
  expect(timeText(312)).toBe("312 ms");
  expect(timeText(0.085)).toBe("85.0 us");
  expect(timeText(3.6e6 * 2 + 60e3 * 5)).toBe("2h 05m");
  expect(timeText(-5)).toBe("-5.00 ms");
});

test("counts", () => {
  expect(countText(13212.9)).toBe("13,213");
});

test("how much more one is than the other", () => {
  expect(percentMore(9.13, 7.02)).toBe("+30 %");
  expect(percentMore(95.5, 100)).toBe("−4.5 %");
  expect(percentMore(100.01, 100)).toBe("±0 %");
  const gib = 2 ** 30;
  expect(bytesMore(50 * gib, 74 * gib)).toBe("−24.0 GiB");
  expect(bytesMore(3 * gib, gib)).toBe("+2.00 GiB");
  expect(bytesMore(5, 5)).toBe("±0 B");
});
