import { readFileSync } from "node:fs";
import {
  answered,
  cli,
  expect,
  figure,
  openPage,
  question,
  showTab,
  test,
} from "../../visualizer/testing";

test("why this plan: baselines, runner-ups, prices, certificate", async ({
  page,
  visualizer,
}) => {
  const said = cli("search", ...question, "--explain");
  await openPage(page, visualizer);
  await showTab(page, "Search");
  const baselines = page
    .getByRole("region", { name: "What people set by hand" })
    .first();
  for (const [, name, step] of said.matchAll(
    /^ {2}(ZeRO-3, recompute|Megatron) +([\d.]+ s)/gm,
  )) {
    await expect(
      baselines.getByRole("row", { name: new RegExp(`^${name}`) }),
    ).toContainText(step ?? "");
  }
  await expect(page.getByRole("article")).toHaveCount(4);
  const lost = [...said.matchAll(/^ {2}(\+[\d.]+ %) \(/gm)].map(
    (match) => match[1] ?? "",
  );
  for (const [index, loss] of lost.entries()) {
    await expect(page.getByRole("article").nth(index + 1)).toContainText(loss);
  }
  const certificate = page.getByRole("region", { name: "How sure that is" });
  await expect(certificate).toContainText(
    /[\d.]+ ms per sample; no plan of this space/.exec(said)?.[0] ?? "",
  );
  const prices = page
    .getByRole("region", { name: "What more would give" })
    .first();
  await expect(prices).toContainText(
    /any amount of memory +([\d.]+ s)/.exec(said)?.[1] ?? "none",
  );
});

test("what would plain FSDP give? Its plan is shown", async ({
  page,
  visualizer,
}) => {
  await openPage(page, visualizer);
  await showTab(page, "Search");
  await page.getByRole("button", { name: "Show ZeRO-3, recompute" }).click();
  await answered(page);
  await expect(
    page.getByRole("heading", { name: "Plan: ZeRO-3, recompute" }),
  ).toBeVisible();
  await expect(
    page.getByRole("option", { name: "Layer 5," }),
  ).toHaveAccessibleName(/zero3 full/);
  await page.getByRole("button", { name: "Show the searched plan" }).click();
  await expect(
    page.getByRole("heading", { name: "The searched plan" }),
  ).toBeVisible();
});

test("the exported plan is the command line's", async ({
  page,
  visualizer,
}, info) => {
  await openPage(page, visualizer);
  await showTab(page, "Search");
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export plan.json" }).click();
  const path = info.outputPath("plan.json");
  await (await download).saveAs(path);
  const ours = info.outputPath("cli.json");
  cli("search", ...question, "--output", ours);
  const [exported, searched] = [path, ours].map((file) =>
    JSON.parse(readFileSync(file, "utf8")),
  );
  expect(exported.pipeline).toEqual(searched.pipeline);
  expect(exported.layers).toEqual(searched.layers);
});

test("frontier and sweep", async ({ page, visualizer }) => {
  test.setTimeout(180_000);
  await openPage(page, visualizer);
  await showTab(page, "Search");
  const frontier = page.getByRole("region", { name: "What is memory worth?" });
  await frontier.getByRole("button", { name: "Draw the frontier" }).click();
  await expect(frontier.getByRole("table").last()).toContainText("GiB", {
    timeout: 90_000,
  });
  const sweep = page.getByRole("region", { name: "Which batch?" });
  await sweep.getByRole("textbox").fill("32,64");
  await sweep.getByRole("button", { name: "Compare batches" }).click();
  const step =
    /predicted step ([\d.]+ m?s)/.exec(cli("search", ...question))?.[1] ??
    "none";
  await expect(sweep.getByRole("table").last()).toContainText(step, {
    timeout: 90_000,
  });
});

test("a search that takes long shows how far it is, and can be cancelled", async ({
  page,
  visualizer,
}) => {
  await openPage(page, visualizer);
  // The devices first: of a trillion parameters on eight of them the closest miss is looked for.
  const cluster = page.getByRole("combobox", { name: "Cluster" });
  await cluster.fill("4096xH100");
  await cluster.press("Enter");
  await expect(page.getByText("512 x 8 NVIDIA H100").first()).toBeVisible();
  await answered(page);
  await page.getByRole("combobox", { name: "Model" }).fill("gpt-1t");
  await page.getByRole("option", { name: "gpt-1t" }).click();
  const question = ["--model", "gpt-1t", "--cluster", "4096xH100"];
  const before =
    /predicted step ([\d.]+ m?s)/.exec(
      cli("search", ...question, "--global-batch", "64"),
    )?.[1] ?? "none";
  await expect(figure(page, "Step")).toHaveText(before);
  // Seconds of search: with one batch it is over before anyone can cancel it.
  const batch = page.getByRole("textbox", { name: "Global batch" });
  await batch.fill("1024:8192:1024");
  await batch.press("Enter");
  // By keyboard: the line moves as the search tells how far it is.
  await page.getByRole("button", { name: "Cancel" }).first().press("Enter");
  await expect(
    page.getByText("The search was cancelled.").first(),
  ).toBeVisible();
  await expect(figure(page, "Step")).toHaveText(before);
});
