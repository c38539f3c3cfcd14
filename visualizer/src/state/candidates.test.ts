import { expect, it } from "vitest";
import { changesOf } from "../files/useOpenFiles";
import { text } from "../i18n/texts";
import type { Text } from "../i18n/useText";
import { candidates } from "./candidates";
import { firstDocument } from "./page";
import { planTitle } from "./planTitle";

const english: Text = (key, values) => text("en", key, values);
const chinese: Text = (key, values) => text("zh", key, values);

it("marks a file whose plan cannot be, wherever it can be chosen", () => {
  const plan = { name: "mine.json", plan: {} };
  const other = { name: "other.json", plan: {} };
  const document = { ...firstDocument, plan, plans: [plan, other] };
  const titles = candidates(document, null, english, ["mine.json"]).map(({ title }) => title);
  expect(titles).toEqual(["Shown: mine.json (cannot be)", "mine.json (cannot be)", "other.json"]);
});

it("says names of ours in the language of the page, and others as they are", () => {
  expect(planTitle("ZeRO-3, recompute", english)).toBe("ZeRO-3, recompute");
  expect(planTitle("ZeRO-3, recompute", chinese)).toBe("ZeRO-3,重计算");
  expect(planTitle("runner-up 2", chinese)).toBe("次优计划 2");
  expect(planTitle("mine.json", chinese)).toBe("mine.json");
});

it("says what of the question a plan has changed", () => {
  const batch = { ...firstDocument, options: { global_batch: "32" } };
  expect(changesOf(firstDocument, batch, english)).toBe("The global batch is now 32, the plan's.");
  const model = { ...firstDocument, model: { name: "gpt-1t", content: null } };
  expect(changesOf(firstDocument, model, english)).toBe("The model is now gpt-1t.");
  expect(changesOf(firstDocument, firstDocument, english)).toBe("");
});
