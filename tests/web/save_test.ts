import { readFileSync } from "node:fs";
import {
  expect,
  type Locator,
  openPage,
  type Page,
  showTab,
  test,
} from "../../visualizer/testing";

const PNG = "89504e470d0a1a0a";

/** What the browser hands over for an item of a picture's menu. */
async function saved(page: Page, figure: Locator, item: string) {
  await figure.getByRole("button", { name: /^Save “/ }).click();
  const waiting = page.waitForEvent("download");
  await page.getByRole("menuitem", { name: item }).click();
  const download = await waiting;
  return {
    name: download.suggestedFilename(),
    bytes: readFileSync(await download.path()),
  };
}

async function expectImages(page: Page, figure: Locator, name: string) {
  const png = await saved(page, figure, "PNG image");
  expect(png.name).toBe(`${name}.png`);
  expect(png.bytes.subarray(0, 8).toString("hex")).toBe(PNG);
  expect(png.bytes.readUInt32BE(16)).toBeGreaterThan(800);
  const svg = await saved(page, figure, "SVG image");
  expect(svg.name).toBe(`${name}.svg`);
  // Parsed as a browser would on its own: a text, and something drawn.
  const parts = await page.evaluate((text) => {
    const root = new DOMParser().parseFromString(
      text,
      "image/svg+xml",
    ).documentElement;
    return {
      tag: root.tagName,
      texts: root.querySelectorAll("text").length,
      shapes: root.querySelectorAll("path, rect, line, polyline").length,
    };
  }, svg.bytes.toString("utf8"));
  expect(parts.tag).toBe("svg");
  expect(parts.texts).toBeGreaterThan(0);
  expect(parts.shapes).toBeGreaterThan(0);
}

/** Its rows: those of the table that the page shows. */
async function expectCsv(page: Page, figure: Locator, name: string) {
  const csv = await saved(page, figure, "CSV table");
  expect(csv.name).toBe(`${name}.csv`);
  const rows = csv.bytes.toString("utf8").trim().split(/\r?\n/);
  await figure.getByRole("button", { name: "As table" }).click();
  const shown = await figure.getByRole("row").count();
  expect(rows.length).toBeGreaterThanOrEqual(shown);
  expect(rows.length).toBeGreaterThan(1);
  await figure.getByRole("button", { name: "As table" }).click();
}

const PICTURES: Record<string, string[]> = {
  Memory: [
    "memory-of-each-pipeline-rank",
    "memory-of-pipeline-rank-0-over-a-step",
    "what-fills-pipeline-rank-0",
  ],
  Time: ["where-the-step-s-time-goes", "timeline-of-a-step"],
  Compare: [
    "time-of-a-step-part-by-part",
    "memory-of-each-pipeline-rank-side-by-side",
  ],
};

for (const [tab, names] of Object.entries(PICTURES)) {
  test(`pictures of ${tab} are saved as PNG, SVG and CSV`, async ({
    page,
    visualizer,
  }) => {
    await openPage(page, visualizer);
    await showTab(page, tab);
    const figures = page.getByRole("figure");
    await expect(figures).toHaveCount(names.length);
    for (const [index, name] of names.entries()) {
      await expectImages(page, figures.nth(index), name);
      await expectCsv(page, figures.nth(index), name);
    }
  });
}

test("a frontier is saved as PNG, SVG and CSV", async ({
  page,
  visualizer,
}) => {
  test.setTimeout(180_000);
  await openPage(page, visualizer);
  await showTab(page, "Search");
  await page.getByRole("button", { name: "Draw the frontier" }).click();
  const figure = page.getByRole("figure", { name: "Step time over memory" });
  await expect(figure).toBeVisible({ timeout: 90_000 });
  await expectImages(page, figure, "step-time-over-memory");
  await expectCsv(page, figure, "step-time-over-memory");
});
