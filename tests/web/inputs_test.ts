import {
  answered,
  cli,
  expect,
  figure,
  openPage,
  type Page,
  test,
} from "../../visualizer/testing";

function stepOf(...words: string[]): string {
  return (
    /predicted step ([\d.]+ m?s)/.exec(cli("search", ...words))?.[1] ?? "none"
  );
}

async function choose(page: Page, label: string, typed: string) {
  const field = page.getByRole("combobox", { name: label });
  await field.fill(typed);
  await page.getByRole("option", { name: typed, exact: false }).first().click();
}

test("what if they had 80 GB?", async ({ page, visualizer }) => {
  await openPage(page, visualizer);
  const field = page.getByRole("combobox", { name: "Cluster" });
  await field.fill("8xA100-80G");
  await field.press("Enter");
  await expect(figure(page, "Step")).toHaveText(
    stepOf(
      "--model",
      "llama2-13b",
      "--cluster",
      "8xA100-80G",
      "--global-batch",
      "64",
    ),
  );
});

test("another model is found by typing a part of its name", async ({
  page,
  visualizer,
}) => {
  await openPage(page, visualizer);
  await choose(page, "Model", "llama2-7b");
  await expect(figure(page, "Step")).toHaveText(
    stepOf(
      "--model",
      "llama2-7b",
      "--cluster",
      "8xA100-40G",
      "--global-batch",
      "64",
    ),
  );
});

test("batch, precision and sizes by hand", async ({ page, visualizer }) => {
  await openPage(page, visualizer);
  await page.getByRole("textbox", { name: "Global batch" }).fill("32");
  await page.getByRole("button", { name: "Sizes by hand" }).click();
  await page.getByRole("textbox", { name: "Num layers" }).fill("20");
  const words = ["--global-batch", "32", "--num-layers", "20"];
  await expect(figure(page, "Step")).toHaveText(
    stepOf("--model", "llama2-13b", "--cluster", "8xA100-40G", ...words),
  );
  await expect(page.getByRole("option")).toHaveCount(22);
});

test("the cluster's numbers by hand", async ({ page, visualizer }) => {
  await openPage(page, visualizer);
  await page.getByRole("button", { name: "Numbers by hand" }).click();
  await page.getByRole("textbox", { name: "Device memory" }).fill("24GiB");
  const words = ["--global-batch", "64", "--device-memory", "24GiB"];
  const said = cli(
    "search",
    "--model",
    "llama2-13b",
    "--cluster",
    "8xA100-40G",
    ...words,
  );
  await answered(page);
  const sentence =
    said.split("\n").find((line) => line.includes("leanest")) ?? "";
  if (sentence) await expect(page.locator(".summary")).toContainText("leanest");
  else
    await expect(figure(page, "Step")).toHaveText(
      /predicted step ([\d.]+ m?s)/.exec(said)?.[1] ?? "",
    );
});

test("a value that is none is refused in its place, and the rest stays", async ({
  page,
  visualizer,
}) => {
  await openPage(page, visualizer);
  const before = await figure(page, "Step").textContent();
  const field = page.getByRole("textbox", { name: "Memory", exact: true });
  await field.fill("plenty");
  await expect(
    page.locator(".field", { has: field }).locator(".problem"),
  ).toContainText("plenty");
  await expect(figure(page, "Step")).toHaveText(before ?? "");
  await field.fill("");
  await expect(page.locator(".problem")).toHaveCount(0);
});

test("figures of another question are greyed and not headed as this one's answer", async ({
  page,
  visualizer,
}) => {
  await openPage(page, visualizer);
  const heading = page.locator(".summary h2");
  await expect(heading).toHaveText("The searched plan");
  const memory = page.getByRole("textbox", { name: "Memory", exact: true });
  // Nothing fits, which is an answer with a plan of its own.
  await memory.fill("12GiB");
  await expect(page.locator(".summary .alert")).toContainText("leanest");
  await expect(heading).toHaveText("Closest miss");
  await expect(page.locator(".figures.old")).toHaveCount(0);
  // No size at all; bytes where GiB are meant.
  for (const { text, said } of [
    { text: "plenty", said: "plenty" },
    { text: "24", said: "24 bytes" },
  ]) {
    await memory.fill(text);
    await expect(page.locator(".summary .alert")).toContainText(said);
    await expect(page.locator(".figures.old")).toHaveCount(1);
    await expect(heading).toHaveText("The plan of an earlier question");
  }
  await memory.fill("");
  await expect(heading).toHaveText("The searched plan");
  await expect(page.locator(".figures.old")).toHaveCount(0);
});

test("more memory than a device has is not offered", async ({
  page,
  visualizer,
}) => {
  await openPage(page, visualizer);
  const field = page.getByRole("combobox", { name: "Cluster" });
  await field.fill("2xRTX4090");
  await field.press("Enter");
  const miss = page.locator(".summary .alert.warn", { hasText: "leanest" });
  await expect(miss).toContainText(/A device has [\d.]+ GiB/);
  await expect(miss.getByRole("button")).toHaveCount(0);
});

test("an unknown cluster is answered with the nearest one", async ({
  page,
  visualizer,
}) => {
  await openPage(page, visualizer);
  const field = page.getByRole("combobox", { name: "Cluster" });
  await field.fill("8xA100-41G");
  await field.press("Enter");
  await expect(page.locator(".summary .alert")).toContainText("A100-40G");
});

test("where nothing fits the closest miss gives its budget", async ({
  page,
  visualizer,
}) => {
  await openPage(page, visualizer);
  await page
    .getByRole("textbox", { name: "Memory", exact: true })
    .fill("12GiB");
  const miss = page.locator(".summary .alert.warn", { hasText: "leanest" });
  await expect(miss).toBeVisible();
  await answered(page);
  // The leanest plan is looked into, and what people set by hand says what it lacks.
  await expect(
    page.getByRole("heading", { name: "Closest miss" }),
  ).toBeVisible();
  await expect(page.locator(".summary .bad")).toHaveText("✗ does not fit");
  await expect(page.locator(".by-hand")).toContainText(
    /Do not fit: DDP \([\d.]+ GiB too much\)/,
  );
  await page.getByRole("button", { name: "Why nothing fits" }).click();
  await expect(
    page.getByRole("region", { name: "What people set by hand" }).first(),
  ).toContainText("GiB too much");
  await miss
    .getByRole("button", { name: /^Use this budget: [\d.]+GiB$/ })
    .click();
  await expect(miss).toHaveCount(0);
  await answered(page);
  await expect(page.locator(".summary .good")).toHaveText("✓ fits");
  const memory = await page
    .getByRole("textbox", { name: "Memory", exact: true })
    .inputValue();
  const words = [
    "--cluster",
    "8xA100-40G",
    "--global-batch",
    "64",
    "--memory",
    memory,
  ];
  await expect(figure(page, "Step")).toHaveText(
    stepOf("--model", "llama2-13b", ...words),
  );
});

test("a size in the place of a device is one of a few, which are named", async ({
  page,
  visualizer,
}) => {
  await openPage(page, visualizer);
  const field = page.getByRole("combobox", { name: "Cluster" });
  await field.fill("8x24GB");
  await field.press("Enter");
  await expect(page.locator(".summary .alert")).toContainText(
    "A10, A30, L4, RTX3090, RTX4090, TITAN-RTX have so much",
  );
  for (const device of ["8x3090", "4x4090", "8xL40S", "8xT4"]) {
    await field.fill(device);
    await field.press("Enter");
    await answered(page);
    await expect(page.locator(".search-state .alert:not(.warn)")).toHaveCount(
      0,
    );
  }
});

test("numbers are taken as people write them", async ({ page, visualizer }) => {
  await openPage(page, visualizer);
  const length = page.getByRole("textbox", { name: "Seq length" });
  await length.fill("");
  await length.pressSequentially("1e3");
  await answered(page);
  await expect(length).toHaveValue("1e3");
  await expect(figure(page, "Step")).toHaveText(
    stepOf(
      ...["--model", "llama2-13b", "--cluster", "8xA100-40G"],
      ...["--global-batch", "64", "--seq-length", "1000"],
    ),
  );
  const microbatches = page.getByRole("textbox", { name: "num_microbatches" });
  await microbatches.fill("3.2e1");
  await microbatches.press("Enter");
  await answered(page);
  await expect(microbatches).toHaveValue("32");
  await microbatches.press("ArrowUp");
  await expect(microbatches).toHaveValue("33");
});
