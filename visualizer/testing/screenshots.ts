import { join } from "node:path";
import { answered, type Page, openPage, showTab, test } from ".";

const folder = join(import.meta.dirname, "../../docs/images");

/** Pictures draw themselves in. */
const drawn = 1500;

/** What is seen without scrolling: a picture stays below 200 kB. */
async function shoot(page: Page, name: string) {
  await answered(page);
  await page.mouse.move(0, 0);
  await page.waitForTimeout(drawn);
  await page.screenshot({ path: join(folder, `visualizer-${name}.png`) });
}

for (const colorScheme of ["light", "dark"] as const) {
  test.describe(colorScheme, () => {
    test.use({ colorScheme, locale: "en-US" });

    test("each view", async ({ page, visualizer }) => {
      await openPage(page, visualizer);
      await shoot(page, `plan-${colorScheme}`);
      for (const tab of ["Memory", "Time", "Search"]) {
        await showTab(page, tab);
        await shoot(page, `${tab.toLowerCase()}-${colorScheme}`);
      }
    });
  });
}

test("plans side by side", async ({ page, visualizer }) => {
  await openPage(page, visualizer);
  await showTab(page, "Search");
  await page.getByRole("button", { name: "Compare ZeRO-3, recompute" }).click();
  await shoot(page, "compare");
});

test("frontier", async ({ page, visualizer }) => {
  await openPage(page, visualizer);
  await showTab(page, "Search");
  await page.getByRole("button", { name: "Draw the frontier" }).click();
  const frontier = page.getByRole("region", { name: "What is memory worth?" });
  await frontier.getByRole("table").last().waitFor({ timeout: 120_000 });
  await frontier.evaluate((element) => element.scrollIntoView());
  await shoot(page, "frontier");
});

test.describe("narrow, in Chinese", () => {
  test.use({ viewport: { width: 390, height: 844 }, locale: "zh-CN" });

  test("plan", async ({ page, visualizer }) => {
    await page.goto(visualizer);
    await page.locator(".summary .figure").first().waitFor();
    await shoot(page, "narrow-zh");
  });
});
