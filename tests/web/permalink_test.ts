import {
  answered,
  expect,
  figure,
  openPage,
  showTab,
  test,
} from "../../visualizer/testing";

test("the address holds the whole state", async ({
  page,
  visualizer,
  context,
}) => {
  await openPage(page, visualizer);
  await page.getByRole("textbox", { name: "Global batch" }).fill("32");
  await answered(page);
  const microbatches = page.getByRole("textbox", { name: "num_microbatches" });
  await microbatches.fill("16");
  await microbatches.press("Enter");
  await answered(page);
  await showTab(page, "Memory");
  const step = await figure(page, "Step").textContent();
  await expect
    .poll(() => page.evaluate(() => location.hash.length))
    .toBeGreaterThan(100);
  await page.waitForTimeout(500);

  const other = await context.newPage();
  await other.goto(page.url());
  await expect(figure(other, "Step")).toHaveText(step ?? "");
  await expect(
    other.getByRole("tab", { name: "Memory", selected: true }),
  ).toBeVisible();
  await expect(
    other.getByRole("heading", { name: "Plan: edited" }),
  ).toBeVisible();
  await showTab(other, "Plan");
  await expect(
    other.getByRole("textbox", { name: "num_microbatches" }),
  ).toHaveValue("16");
});

test("a link that is cut off says so, and the page begins anew", async ({
  page,
  visualizer,
}) => {
  await page.goto(`${visualizer}#q1ZKzs`);
  await expect(page.locator(".notice.bad")).toContainText("cut off");
  await expect(figure(page, "Step")).toBeVisible();
});
