import { expect, it } from "vitest";
import type { OptionRow } from "../api/types";
import { optionText, optionValue } from "./optionValue";

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

it("keeps what is still being typed", () => {
  for (const typed of ["1.", "0.50", "1e", "many"]) {
    expect(optionText(optionValue(row("float"), typed))).toBe(typed);
  }
  expect(optionText([8, 16])).toBe("8,16");
});
