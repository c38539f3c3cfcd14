import { expect, test } from "vitest";
import { fileName } from "./save";
import { cell, csv } from "./table";

test("CSV holds numbers in full and quotes what needs it", () => {
  const table = {
    columns: [
      { title: "part", key: "part" },
      { title: "memory", key: "bytes" },
    ],
    rows: [
      [cell('says "yes", twice', 'says "yes", twice'), cell("1.00 GiB", 1073741823)],
      [cell("two\nlines"), cell("", null)],
    ],
  };
  expect(csv(table)).toBe('part,bytes\r\n"says ""yes"", twice",1073741823\r\n"two\nlines",\r\n');
});

test("names of files", () => {
  expect(fileName("Memory of each pipeline rank")).toBe("memory-of-each-pipeline-rank");
  expect(fileName("各 rank 的显存")).toBe("各-rank-的显存");
  expect(fileName("../..")).toBe("picture");
});
