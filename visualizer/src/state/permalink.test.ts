import { expect, it } from "vitest";
import { firstDocument, firstView } from "./page";
import { fromLink, maxFragment, toLink } from "./permalink";

const kept = { document: firstDocument, view: firstView };

it("holds the whole state in a short text", async () => {
  const { fragment, leftOut } = await toLink(kept);
  expect(fragment).toMatch(/^[\w-]+$/);
  expect(fragment.length).toBeLessThan(400);
  expect(leftOut).toEqual([]);
  expect(await fromLink(`#${fragment}`)).toEqual(kept);
});

it("leaves out files that are too large, and names them", async () => {
  const noise = Array.from({ length: 40_000 }, () => Math.random().toString(36).slice(2, 4)).join(
    "",
  );
  const plans = [{ name: "mine.json", plan: { noise } }];
  const { fragment, leftOut } = await toLink({ ...kept, document: { ...firstDocument, plans } });
  expect(fragment.length).toBeLessThan(maxFragment);
  expect(leftOut).toEqual(["mine.json"]);
  expect((await fromLink(fragment))?.document.plans).toEqual([]);
});

it("refuses what is no state of the page", async () => {
  expect(await fromLink("")).toBeNull();
  const { fragment } = await toLink(kept);
  await expect(fromLink(fragment.slice(0, -9))).rejects.toThrow();
  await expect(fromLink("!!")).rejects.toThrow();
});
