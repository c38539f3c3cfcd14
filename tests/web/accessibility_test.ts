import {
  answered,
  expect,
  figure,
  openPage,
  type Page,
  showTab,
  test,
  violations,
} from "../../visualizer/testing";

const texts = {
  en: { language: "English", themes: { light: "Light", dark: "Dark" } },
  zh: { language: "中文", themes: { light: "浅色", dark: "深色" } },
} as const;

/** Colours fade in: judged too early they are not what people see. */
const settled = (page: Page) => page.waitForTimeout(400);

for (const [language, names] of Object.entries(texts)) {
  for (const [theme, name] of Object.entries(names.themes)) {
    test(`axe finds nothing on any tab: ${language}, ${theme}`, async ({
      page,
      visualizer,
    }) => {
      test.setTimeout(120_000);
      await openPage(page, visualizer);
      await page.getByRole("radio", { name: names.language }).click();
      await page.getByRole("radio", { name }).click();
      await page.getByRole("option").nth(3).click();
      const tabs = page.getByRole("tab");
      for (let i = 0; i < (await tabs.count()); i++) {
        await tabs.nth(i).click();
        await answered(page);
        await settled(page);
        expect(
          await violations(page),
          (await tabs.nth(i).textContent()) ?? "",
        ).toEqual([]);
      }
    });
  }
}

test("axe finds nothing where something is wrong", async ({
  page,
  visualizer,
}) => {
  await openPage(page, visualizer);
  await page
    .getByRole("textbox", { name: "Memory", exact: true })
    .fill("plenty");
  await expect(page.locator(".field .problem")).toBeVisible();
  await settled(page);
  expect(await violations(page)).toEqual([]);
  await page
    .getByRole("textbox", { name: "Memory", exact: true })
    .fill("12GiB");
  await expect(page.locator(".alert.warn")).toBeVisible();
  await settled(page);
  expect(await violations(page)).toEqual([]);
});

test("the whole way by keyboard alone", async ({ page, visualizer }) => {
  await openPage(page, visualizer);
  const before = await figure(page, "Step").textContent();
  const tabTo = async (name: RegExp) => {
    for (let i = 0; i < 80; i++) {
      await page.keyboard.press("Tab");
      const focused = await page.evaluate(() => {
        const element = document.activeElement as HTMLElement | null;
        const labels = (element as HTMLInputElement | null)?.labels;
        const named = (element?.getAttribute("aria-labelledby") ?? "")
          .split(" ")
          .map((id) => document.getElementById(id)?.textContent);
        return `${named.join(" ")} ${element?.getAttribute("role")} ${element?.getAttribute("aria-label")} ${labels?.[0]?.textContent} ${element?.textContent}`;
      });
      if (name.test(focused)) return;
    }
    throw new Error(`no way by Tab to ${name}`);
  };
  await tabTo(/Cluster/);
  await page.keyboard.press("Control+a");
  await page.keyboard.type("8xA100-80G");
  await page.keyboard.press("Enter");
  await expect(figure(page, "Step")).not.toHaveText(before ?? "");
  await answered(page);
  await tabTo(/tab .*Plan/);
  await tabTo(/option .*Layer/);
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Shift+ArrowRight");
  await expect(page.getByRole("option", { selected: true })).toHaveCount(2);
  await tabTo(/recompute/);
  await page.keyboard.press("Enter");
  await page.keyboard.type("full");
  await page.keyboard.press("Enter");
  await expect(
    page.getByRole("heading", { name: "Plan: edited" }),
  ).toBeVisible();
  await page.keyboard.press("Control+z");
  await expect(
    page.getByRole("heading", { name: "The searched plan" }),
  ).toBeVisible();
});

test("arrow keys go through what a picture shows, and say it", async ({
  page,
  visualizer,
}) => {
  await openPage(page, visualizer);
  await showTab(page, "Search");
  await page.getByRole("button", { name: "Compare ZeRO-3, recompute" }).click();
  const picture = page.getByRole("figure", { name: "Time of a step" });
  const said = picture.locator("[aria-live]");
  await picture.getByRole("img").focus();
  await page.keyboard.press("ArrowDown");
  await expect(said).toHaveText(/^computing: [\d.]+ s \/ [\d.]+ s$/);
  await page.keyboard.press("End");
  await expect(said).not.toHaveText(/computing/);
  await page.keyboard.press("Escape");
  await expect(said).toHaveText("");
});

test("nothing runs over the edge of a narrow screen", async ({
  page,
  visualizer,
}) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await openPage(page, visualizer);
  const tabs = page.getByRole("tab");
  for (let i = 0; i < (await tabs.count()); i++) {
    await tabs.nth(i).click();
    await answered(page);
    const width = await page.evaluate(
      () => document.documentElement.scrollWidth,
    );
    expect(width, (await tabs.nth(i).textContent()) ?? "").toBeLessThanOrEqual(
      390,
    );
  }
  expect(await violations(page)).toEqual([]);
});

test("in Chinese no sentence is half English, and what is English is marked so", async ({
  page,
  visualizer,
}) => {
  await openPage(page, visualizer);
  await page.getByRole("radio", { name: "中文" }).click();
  for (const name of ["计划", "显存", "时间", "搜索", "比较"]) {
    await showTab(page, name);
    if (name === "搜索") await expect(page.getByText("显存增加")).toBeVisible();
    if (name === "比较")
      await expect(page.locator(".verdict")).toContainText("更快");
    await page.waitForTimeout(500);
    const stray = await page.evaluate(() => {
      const out: string[] = [];
      const main = document.querySelector("main") as HTMLElement;
      const walker = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
      for (let node; (node = walker.nextNode());) {
        const isMarked = node.parentElement?.closest('[lang="en"]');
        const words = /(\b[a-z]{2,}\b[ ,:]+){3}[a-z]{2,}/.exec(
          node.textContent ?? "",
        );
        if (words && !isMarked) out.push(node.textContent ?? "");
      }
      return out;
    });
    expect(stray, name).toEqual([]);
  }
});
