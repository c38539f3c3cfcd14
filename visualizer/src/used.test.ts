// What nothing uses any more goes: texts of the tables, and classes of the style sheets.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { common } from "./i18n/common";
import { pictures } from "./i18n/pictures";

const root = import.meta.dirname;
const files = readdirSync(root, { recursive: true, encoding: "utf8" });
const read = (ending: RegExp, except = /\.test\.ts$/) =>
  files
    .filter((file) => ending.test(file) && !except.test(file))
    .map((file) => readFileSync(join(root, file), "utf8"))
    .join("\n");

const code = read(/\.tsx?$/, /\.test\.ts$|^i18n\/(common|pictures)\.ts$/);
/** Beginnings of names that are put together: `tab_${name}`. */
const beginnings = [...code.matchAll(/([\w-]+[_-])\$\{/g)].map((match) => match[1] ?? "");
const words = new Set(code.match(/[\w-]+/g));
const isUsed = (name: string) =>
  words.has(name) || beginnings.some((beginning) => name.startsWith(beginning));

it("has no text that is never shown", () => {
  const quoted = new Set([...code.matchAll(/"(\w+)"/g)].map((match) => match[1]));
  const unused = Object.keys({ ...common, ...pictures }).filter(
    (key) => !quoted.has(key) && !beginnings.some((beginning) => key.startsWith(beginning)),
  );
  expect(unused).toEqual([]);
});

it("has no class that nothing wears", () => {
  // Of react-aria-components those are its own.
  const classes = new Set(
    [...read(/\.css$/).matchAll(/\.([a-z][\w-]*)/gi)].map((match) => match[1] ?? ""),
  );
  const unused = [...classes].filter((name) => !name.startsWith("react-aria-") && !isUsed(name));
  expect(unused).toEqual([]);
});

it("says no sentence twice", () => {
  const sentences = Object.entries({ ...common, ...pictures }).filter(([, { en }]) =>
    en.includes(" "),
  );
  const twice = sentences.filter(([key, { en }], place) =>
    sentences.slice(0, place).some(([other, one]) => one.en === en && other !== key),
  );
  expect(twice).toEqual([]);
});
