import { appendFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  expect,
  openPage,
  startServer,
  startWatch,
  stopServer,
  test,
  violations,
} from "../../visualizer/testing";

function stepLine(step: number): string {
  const rates = {
    tokens: 1024,
    seconds: 0.5,
    tokens_per_second: 2048,
    memory_bytes: 1 << 20,
  };
  return `${JSON.stringify({ step, loss: 8 / step, grad_norm: 1, lr: 1e-3, ...rates })}\n`;
}

/** The folder of a run that has made so many steps, and not ended. */
function writeRun(parent: string, numSteps: number): string {
  const run = join(parent, "first-run");
  mkdirSync(run, { recursive: true });
  const lines = Array.from({ length: numSteps }, (_, i) => stepLine(i + 1));
  writeFileSync(join(run, "metrics.jsonl"), lines.join(""));
  const plan = {
    ...{
      format: "galvatron-plan",
      version: 1,
      model: "gpt-<tiny>",
      world_size: 8,
    },
    ...{ global_batch: 32, num_microbatches: 4, precision: "fp32" },
    pipeline: { degree: 2, schedule: "1f1b", layers_per_stage: [5, 9] },
    layers: [
      { count: 1, tp_degree: 4, zero_stage: 3 },
      { count: 12, tp_degree: 2, recompute: "full" },
      { ulysses_degree: 4 },
    ],
  };
  writeFileSync(join(run, "plan.json"), JSON.stringify(plan));
  writeFileSync(join(run, "model.safetensors"), "weights are not sent");
  return run;
}

test("a run folder is opened: its steps, its plan, its state", async ({
  page,
  visualizer,
}, info) => {
  const run = writeRun(info.outputPath(), 4);
  await openPage(page, visualizer);
  const chooser = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Open run folder" }).click();
  await (await chooser).setFiles(run);
  await expect(
    page.getByRole("tab", { name: "Run", selected: true }),
  ).toBeVisible();
  const panel = page.getByRole("tabpanel");
  await expect(panel).toContainText("last step 4");
  await expect(panel).toContainText("gpt-<tiny>");
  expect(await violations(page)).toEqual([]);
});

test("a run of the command line is followed while it goes on", async ({
  page,
}, info) => {
  test.skip(
    Boolean(process.env.GALVATRON_PAGE),
    "the page is another server's",
  );
  const run = writeRun(info.outputPath(), 4);
  const server = await startServer([run]);
  await page.goto(server.url);
  await expect(page.getByRole("tabpanel")).toContainText("last step 4");
  appendFileSync(join(run, "metrics.jsonl"), stepLine(5));
  await expect(page.getByRole("tabpanel")).toContainText("step 5 is done");
  await stopServer(server);
});

test("a watched run: waited for, shown alone, and what cannot be read any more is said", async ({
  page,
}, info) => {
  test.skip(
    Boolean(process.env.GALVATRON_PAGE),
    "the page is another server's",
  );
  const run = join(info.outputPath(), "first-run");
  mkdirSync(run, { recursive: true });
  const server = await startWatch(run);
  await page.goto(server.url);
  const panel = page.getByRole("tabpanel");
  await expect(panel).toContainText("has not written a step yet");
  await expect(page.locator(".summary")).toHaveCount(0);
  await expect(page.getByRole("combobox", { name: "Model" })).toHaveCount(0);

  writeRun(info.outputPath(), 3);
  await expect(panel).toContainText("step 3 is done");
  appendFileSync(join(run, "metrics.jsonl"), '{"step": 4, "lo');
  await expect(panel).toContainText("cut off, and left out");
  await expect(panel).toContainText("running");

  writeFileSync(join(run, "metrics.jsonl"), "garbage\n");
  await expect(panel.locator(".alert")).toContainText("metrics.jsonl, line 1");
  await expect(panel.locator(".alert")).toContainText("read last");
  writeRun(info.outputPath(), 4);
  await expect(panel).toContainText("step 4 is done");
  await expect(panel.locator(".alert")).toHaveCount(0);

  rmSync(join(run, "metrics.jsonl"));
  await expect(panel.locator(".alert")).toContainText("gone");
  rmSync(run, { recursive: true });
  await expect(panel.locator(".alert")).toContainText("there is no folder");
  await stopServer(server);
  await expect(panel.locator(".alert")).toContainText("does not answer");
});
