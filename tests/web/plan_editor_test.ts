import { writeFileSync } from "node:fs";
import {
  answered,
  cli,
  expect,
  figure,
  openPage,
  type Page,
  question,
  showTab,
  test,
} from "../../visualizer/testing";

const layer = (page: Page, index: number) =>
  page.getByRole("option", { name: `Layer ${index},` });

/** Of the plan that the page exports, told by the command line. */
async function simulatedStep(page: Page, path: string): Promise<string> {
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export plan.json" }).click();
  await (await download).saveAs(path);
  const said = cli("simulate", path, "--cluster", "8xA100-40G");
  return /predicted step ([\d.]+ m?s)/.exec(said)?.[1] ?? said;
}

test("what does full recomputation cost? A range by keyboard", async ({
  page,
  visualizer,
}, info) => {
  await openPage(page, visualizer);
  await layer(page, 1).click();
  for (let i = 0; i < 3; i++) await page.keyboard.press("Shift+ArrowRight");
  await expect(page.getByRole("option", { selected: true })).toHaveCount(4);
  const before = await figure(page, "Step").textContent();
  await page.getByRole("button", { name: /recompute/ }).click();
  await page.getByRole("option", { name: "full", exact: true }).click();
  await answered(page);
  await expect(figure(page, "Step")).not.toHaveText(before ?? "");
  await expect(layer(page, 4)).toHaveAccessibleName(/full/);
  await expect(figure(page, "Step")).toHaveText(
    await simulatedStep(page, info.outputPath("plan.json")),
  );
});

test("shift+End and shift+Home choose up to the last and the first layer", async ({
  page,
  visualizer,
}) => {
  await openPage(page, visualizer);
  const chosen = page.getByRole("option", { selected: true });
  await layer(page, 5).click();
  await page.keyboard.press("Shift+End");
  await expect(chosen).toHaveCount(42 - 5);
  await expect(layer(page, 41)).toBeFocused();
  await page.keyboard.press("Shift+Home");
  await expect(chosen).toHaveCount(6);
  await expect(layer(page, 0)).toBeFocused();
});

test("full recomputation of all layers is that of those that can have it", async ({
  page,
  visualizer,
}) => {
  await openPage(page, visualizer);
  await layer(page, 1).click();
  await page.keyboard.press("Control+a");
  await page.getByRole("button", { name: /recompute/ }).click();
  await page.getByRole("option", { name: "full", exact: true }).click();
  await answered(page);
  await expect(page.locator(".summary .alert")).toHaveCount(0);
  await expect(layer(page, 1)).toHaveAccessibleName(/full/);
  await expect(layer(page, 0)).not.toHaveAccessibleName(/full/);
  await expect(page.locator("fieldset.editor")).toContainText(
    "2 of the 42 chosen layers cannot have it",
  );
});

test("a number that cannot be stays in its field, with the planner's sentence", async ({
  page,
  visualizer,
}) => {
  await openPage(page, visualizer);
  const microbatches = page.getByRole("textbox", { name: "num_microbatches" });
  for (const value of ["999999999", "0"]) {
    await microbatches.fill(value);
    await microbatches.press("Enter");
    await expect(page.locator(".summary .alert")).toContainText(value);
    await expect(microbatches).toHaveValue(value);
  }
});

test("dragging over layers chooses them", async ({ page, visualizer }) => {
  await openPage(page, visualizer);
  await layer(page, 2).hover();
  await page.mouse.down();
  await layer(page, 8).hover({ force: true });
  await page.mouse.up();
  await expect(page.getByRole("option", { selected: true })).toHaveCount(7);
});

test("an impossible choice says why in its place; undo takes it back", async ({
  page,
  visualizer,
}) => {
  await openPage(page, visualizer);
  const before = await figure(page, "Step").textContent();
  await layer(page, 1).click();
  const field = page.locator(".editor > div", {
    has: page.getByText("shard_degree", { exact: true }),
  });
  await field.getByRole("button").click();
  await page.getByRole("option", { name: "4", exact: true }).click();
  await expect(field.locator(".problem")).toContainText("shard_degree");
  await expect(page.locator(".summary .alert")).toContainText(
    "This plan cannot be",
  );
  await expect(layer(page, 1)).toHaveAccessibleName(/has a problem/);

  await page.locator("body").press("Control+z");
  await expect(page.locator(".summary .alert")).toHaveCount(0);
  await expect(figure(page, "Step")).toHaveText(before ?? "");
  await page.locator("body").press("Control+Shift+z");
  await expect(page.locator(".summary .alert")).toBeVisible();
});

test("microbatches, schedule, stages and their borders", async ({
  page,
  visualizer,
}, info) => {
  await openPage(page, visualizer);
  const microbatches = page.getByRole("textbox", { name: "num_microbatches" });
  await microbatches.fill("32");
  await microbatches.press("Enter");
  await page.getByRole("button", { name: "A layer less in stage 0" }).click();
  await answered(page);
  await expect(page.getByText("Stage 0 ends with layer 19")).toBeVisible();
  await expect(figure(page, "Step")).toHaveText(
    await simulatedStep(page, info.outputPath("borders.json")),
  );

  await page.getByRole("button", { name: /schedule/ }).click();
  await page.getByRole("option", { name: "gpipe" }).click();
  await answered(page);
  await page.getByRole("button", { name: /pp_degree/ }).click();
  await page.getByRole("option", { name: "1", exact: true }).click();
  await expect(page.getByText("Stage 1", { exact: true })).toHaveCount(0);
});

test("a letter of the legend chooses all layers of its strategy", async ({
  page,
  visualizer,
}) => {
  await openPage(page, visualizer);
  const key = page
    .getByRole("button", { name: /^Choose the \d+ layers with/ })
    .first();
  const count = Number(
    /\d+/.exec((await key.getAttribute("aria-label")) ?? "")?.[0],
  );
  await key.click();
  await expect(page.getByRole("option", { selected: true })).toHaveCount(count);
});

test("an edited plan can be held against the searched one", async ({
  page,
  visualizer,
}, info) => {
  await openPage(page, visualizer);
  const searched = info.outputPath("searched.json");
  cli("search", ...question, "--output", searched);
  const microbatches = page.getByRole("textbox", { name: "num_microbatches" });
  await microbatches.fill("32");
  await microbatches.press("Enter");
  await answered(page);
  const edited = info.outputPath("edited.json");
  await simulatedStep(page, edited);
  await showTab(page, "Compare");
  const said = cli(
    "simulate",
    edited,
    "--against",
    searched,
    "--cluster",
    "8xA100-40G",
  );
  const verdict = said.trimEnd().split("\n").at(-1)?.trim() ?? "";
  const figures = /[\d.]+ % more tokens|needs [\d.]+ GiB of [\d.]+ GiB/.exec(
    verdict,
  )?.[0];
  await expect(page.locator(".verdict")).toContainText(figures ?? "none");
  writeFileSync(info.outputPath("said.txt"), said);
});
