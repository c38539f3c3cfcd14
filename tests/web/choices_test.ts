import {
  answered,
  expect,
  openPage,
  type Page,
  test,
} from "../../visualizer/testing";

const combo = (page: Page, name: string) =>
  page.getByRole("combobox", { name, includeHidden: true });

/** As a person does it, letter by letter. */
async function typeOver(page: Page, name: string, text: string) {
  await combo(page, name).click();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type(text, { delay: 30 });
}

/** Bodies of what the page asks of the search. */
function questions(page: Page): string[] {
  const out: string[] = [];
  page.on("request", (request) => {
    if (request.url().endsWith("/api/search"))
      out.push(request.postData() ?? "");
  });
  return out;
}

for (const name of ["Model", "Cluster"]) {
  test(`the list of ${name} stays open, and the page where it is`, async ({
    page,
    visualizer,
  }) => {
    await openPage(page, visualizer);
    const button = page.getByRole("button", {
      name: `Show all ${name.toLowerCase()}s`,
    });
    for (let round = 0; round < 3; round++) {
      await button.click();
      // Longer than a smooth scroll or an animation takes.
      await page.waitForTimeout(700);
      await expect(combo(page, name)).toHaveAttribute("aria-expanded", "true");
      expect(await page.evaluate(() => window.scrollY)).toBe(0);
      await page.keyboard.press("Escape");
      await expect(combo(page, name)).toHaveAttribute("aria-expanded", "false");
    }
  });
}

const typed = [
  { label: "Model", first: "llama2-7b", second: "llama3.1-8b" },
  { label: "Cluster", first: "8xH100", second: "2x8xL40S:25GB/s" },
];
for (const { label, first, second } of typed) {
  for (const key of ["Enter", "Tab"]) {
    test(`${label}: a name that is typed and ${key} take it, time and again`, async ({
      page,
      visualizer,
    }) => {
      await openPage(page, visualizer);
      const asked = questions(page);
      for (const name of [first, second, first]) {
        await typeOver(page, label, name);
        await page.keyboard.press(key);
        await expect(combo(page, label)).toHaveValue(name);
        await expect(combo(page, label)).toHaveAttribute(
          "aria-expanded",
          "false",
        );
        await expect.poll(() => asked.at(-1)).toContain(`"${name}"`);
        await answered(page);
      }
    });
  }

  test(`${label}: while it is typed nothing is asked; Escape brings the old one back`, async ({
    page,
    visualizer,
  }) => {
    await openPage(page, visualizer);
    const before = await combo(page, label).inputValue();
    await page.getByRole("button", { name: `Show all ${label}` }).click();
    await page.getByRole("option", { name: first }).first().click();
    await answered(page);
    const asked = questions(page);
    await combo(page, label).click();
    await page.keyboard.press("ControlOrMeta+a");
    for (const letter of second) {
      await page.keyboard.type(letter);
      await page.mouse.wheel(0, 40);
      await page.waitForTimeout(60);
    }
    await expect(combo(page, label)).toHaveValue(second);
    expect(asked).toEqual([]);
    await page.keyboard.press("Escape");
    await expect(combo(page, label)).toHaveValue(first);
    await expect(combo(page, label)).toHaveAttribute("aria-expanded", "false");
    await page.getByRole("button", { name: "Undo" }).click();
    await expect(combo(page, label)).toHaveValue(before);
  });

  test(`${label}: an emptied field gets its name back`, async ({
    page,
    visualizer,
  }) => {
    await openPage(page, visualizer);
    const before = await combo(page, label).inputValue();
    await combo(page, label).fill("");
    await page.keyboard.press("Tab");
    await expect(combo(page, label)).toHaveValue(before);
  });
}

test("an unknown model is answered with the nearest one", async ({
  page,
  visualizer,
}) => {
  await openPage(page, visualizer);
  await typeOver(page, "Model", "llama2-14b");
  await page.keyboard.press("Tab");
  await expect(page.locator(".summary .alert")).toContainText("llama2-13b");
  await expect(combo(page, "Model")).toHaveValue("llama2-14b");
});
