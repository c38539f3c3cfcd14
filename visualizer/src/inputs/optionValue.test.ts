import { expect, it } from "vitest";
import type { OptionRow } from "../api/types";
import { numberOf } from "../kit/number";
import { optionText, optionValue, shownText } from "./optionValue";

const row = (type: string): OptionRow => ({ name: "x", type, default: null, help: "", group: "" });

it("gives each option what its type wants", () => {
  expect(optionValue(row("int"), "4096")).toBe(4096);
  expect(optionValue(row("float"), "0.5")).toBe(0.5);
  expect(optionValue(row("int | str"), "24GiB")).toBe("24GiB");
  expect(optionValue(row("str"), "64")).toBe("64");
  expect(optionValue(row("list[str]"), "tp_degree=1,2 zero_stage=3")).toEqual([
    "tp_degree=1,2",
    "zero_stage=3",
  ]);
  expect(optionValue(row("list[int]"), "8,16")).toEqual([8, 16]);
  expect(optionValue(row("int"), " ")).toBeNull();
});

it("takes numbers as people write them", () => {
  expect(optionValue(row("int"), "1e9")).toBe(1_000_000_000);
  expect(optionValue(row("float"), "1.5E-3")).toBe(0.0015);
  expect(optionValue(row("list[int]"), "1e3,16")).toEqual([1000, 16]);
  for (const none of ["1e", "0x10", "Infinity", "1 2"]) {
    expect(optionValue(row("int"), none)).toBe(none);
  }
});

it("shows what is typed while it is the value", () => {
  for (const typed of ["1.", "0.50", "1e", "1e9", "many"]) {
    expect(shownText(row("float"), typed, optionValue(row("float"), typed))).toBe(typed);
  }
  expect(shownText(row("float"), "1e9", 2)).toBe("2");
  expect(shownText(row("float"), "", undefined)).toBe("");
  expect(shownText(row("float"), null, 0.5)).toBe("0.5");
  expect(optionText([8, 16])).toBe("8,16");
});

it("takes blanks around a number and digits in full width", () => {
  expect(numberOf("\u3000６４ ")).toBe(64);
  expect(numberOf("１．５")).toBe(1.5);
  expect(optionValue(row("int"), " ４０９６ ")).toBe(4096);
  expect(optionValue(row("str"), " 64 ")).toBe("64");
  expect(optionValue(row("int | str"), "２４GiB")).toBe("24GiB");
  expect(optionValue(row("list[int]"), "８，１６ ")).toEqual([8, 16]);
  expect(optionValue(row("list[str]"), " a=1  b=2 ")).toEqual(["a=1", "b=2"]);
  expect(shownText(row("int"), " ６４", 64)).toBe(" ６４");
});
