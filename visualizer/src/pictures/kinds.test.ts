import { expect, test } from "vitest";
import { lookOf } from "../../testing/look";
import { pictureNames, pictures } from "../i18n/pictures";
import { common } from "../i18n/common";
import { BUBBLE, EXPOSED, eventKind, HIDDEN, MEMORY_PARTS, partKind, stepPartKind } from "./kinds";
import { inkOn, luminance } from "./look";
import { nameOf, stepPartName } from "./names";

const EVENTS = [
  "forward",
  "backward",
  "recompute",
  "weight gradient",
  "transfer",
  "gather",
  "reduce",
  "tie",
  "gradient sync",
  "update",
  "parameter gather",
  "bubble",
  "communication",
  "optimizer",
];
const STEP_PARTS = [
  "computing",
  "recomputation",
  "optimizer",
  "TP",
  "Ulysses",
  "ZeRO",
  "gradient reduction",
  "parameter gathering",
  "changes of layout",
  "pipeline transfers",
  "bubble",
];
const KINDS = [
  ...MEMORY_PARTS.map(partKind),
  ...EVENTS.map(eventKind),
  ...STEP_PARTS.map(stepPartKind),
  HIDDEN,
  EXPOSED,
  BUBBLE,
];

function contrast(one: string, other: string): number {
  const [low = 0, high = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

test.each(["light", "dark"] as const)("words on each colour read well, %s", (theme) => {
  const look = lookOf(theme);
  for (const { color } of KINDS) {
    const ground = look.color(color);
    expect(contrast(inkOn(ground), ground), color).toBeGreaterThan(4.5);
  }
});

test.each(["light", "dark"] as const)("parts of memory stand out from the ground, %s", (theme) => {
  const look = lookOf(theme);
  for (const part of MEMORY_PARTS) {
    expect(contrast(look.color(partKind(part).color), look.color("ground")), part).toBeGreaterThan(
      2.5,
    );
  }
});

test("neighbouring parts of a bar differ in colour, and in pattern or lightness", () => {
  const look = lookOf("light");
  MEMORY_PARTS.slice(1).forEach((part, i) => {
    const [one, other] = [partKind(MEMORY_PARTS[i] ?? ""), partKind(part)];
    expect(one.color).not.toBe(other.color);
    const differs =
      one.pattern !== other.pattern ||
      contrast(look.color(one.color), look.color(other.color)) > 1.1;
    expect(differs, part).toBe(true);
  });
});

test("what has no kind is drawn all the same", () => {
  expect(partKind("constructor").color).toBe("part-reserve");
  expect(stepPartKind("something new")).toBe(EXPOSED);
});

test("each name has a word in each language; unknown ones stay", () => {
  for (const name of [...MEMORY_PARTS, ...EVENTS])
    expect(Object.keys(pictureNames)).toContain(name);
  expect(nameOf("zh", "parameters")).toBe("参数");
  expect(nameOf("zh", "toString")).toBe("toString");
  expect(stepPartName("zh", "TP inside nodes")).toBe("TP 节点内");
  expect(stepPartName("en", "TP inside nodes")).toBe("TP inside nodes");
});

test("texts of page and pictures do not share a key", () => {
  expect(Object.keys(pictures).filter((key) => key in common)).toEqual([]);
});
