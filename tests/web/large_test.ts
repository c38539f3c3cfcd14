// A model of a hundred layers on a thousand devices, in a pipeline of many stages.
import {
  answered,
  expect,
  openPage,
  type Page,
  showTab,
  test,
  violations,
} from "../../visualizer/testing";

async function openLarge(page: Page, url: string) {
  await openPage(page, url);
  const cluster = page.getByRole("combobox", { name: "Cluster" });
  await cluster.fill("1024xA100");
  await cluster.press("Enter");
  await answered(page);
  const model = page.getByRole("combobox", { name: "Model" });
  await model.fill("gpt3-175b");
  await page.getByRole("option", { name: "gpt3-175b" }).click();
  await answered(page);
  for (const [field, choice] of [
    ["schedule", "1f1b"],
    ["pp_degree", "32"],
  ] as const) {
    await page.getByRole("button", { name: new RegExp(field) }).click();
    await page.getByRole("option", { name: choice, exact: true }).click();
    await answered(page);
  }
}

const height = (page: Page) =>
  page.evaluate(() => document.documentElement.scrollHeight);

test("stages that are alike are one, and a change reaches all of them", async ({
  page,
  visualizer,
}) => {
  test.setTimeout(120_000);
  await openLarge(page, visualizer);
  const cells = page.locator("[data-cell]");
  const few = await cells.count();
  expect(few).toBeLessThan(60);
  expect(await height(page)).toBeLessThan(2600);
  const alike = page
    .getByRole("option", { name: /^Layers \d+ to \d+/ })
    .first();
  const name = (await alike.getAttribute("aria-label")) ?? "";
  const count = Number(/\((\d+)\)/.exec(name)?.[1]);
  expect(count).toBeGreaterThan(1);
  await alike.click();
  await expect(page.locator("fieldset.editor legend")).toHaveText(
    `${count} layers`,
  );
  await page.getByRole("button", { name: /^.*recompute/ }).click();
  await page.getByRole("option", { name: "full", exact: true }).click();
  await answered(page);
  await expect(
    page.getByRole("option", { name: /^Layers \d+ to \d+.*full/ }).first(),
  ).toBeVisible();
  expect(await violations(page)).toEqual([]);

  await page.getByText("Stages that are alike as one").click();
  await expect(cells).toHaveCount(98);
  expect(await height(page)).toBeLessThan(2900);
  const strip = page.getByRole("listbox", { name: "Layers of the plan" });
  const [inner, outer] = await strip.evaluate((element) => [
    element.scrollHeight,
    element.clientHeight,
  ]);
  expect(inner).toBeGreaterThan(outer ?? 0);
});

test("the timeline says which ranks it shows, and shows others", async ({
  page,
  visualizer,
}) => {
  test.setTimeout(120_000);
  await openLarge(page, visualizer);
  await showTab(page, "Time");
  await expect(
    page.getByText("Pipeline ranks 0 to 7 of 32 are drawn."),
  ).toBeVisible();
  const from = page.getByRole("textbox", { name: "From rank" });
  await from.fill("30");
  await from.press("Enter");
  await expect(
    page.getByText("Pipeline ranks 24 to 31 of 32 are drawn."),
  ).toBeVisible();
  await answered(page);
  const figure = page.getByRole("figure", { name: "Timeline of a step" });
  await figure.getByRole("button", { name: "As table" }).click();
  await expect(figure.getByRole("table")).toContainText("rank 24");
  await expect(figure.getByRole("table")).not.toContainText("rank 0 ");
  await figure.getByRole("button", { name: "As table" }).click();
  expect(await violations(page)).toEqual([]);
  await page.getByRole("button", { name: /Pipeline ranks drawn/ }).click();
  await page.getByRole("option", { name: "all 32" }).click();
  await expect(from).toHaveCount(0);
  expect(await height(page)).toBeLessThan(2300);
});
