import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  cli,
  expect,
  type Page,
  test,
  violations,
} from "../../visualizer/testing";

/** A run that was stopped while it wrote, with evaluations, a plan, and a trace. */
function writeRun(parent: string): string {
  const run = join(parent, "stopped-run");
  mkdirSync(run, { recursive: true });
  const line = (step: number) => ({
    ...{
      step,
      loss: 8 / step,
      grad_norm: 1,
      lr: 1e-3,
      tokens: 1024,
      seconds: 0.5,
    },
    ...{ tokens_per_second: 2048, memory_bytes: 1 << 20 },
    ...(step % 2 === 0 ? { valid_loss: 9 / step } : {}),
  });
  const lines = [1, 2, 3, 4].map((step) => `${JSON.stringify(line(step))}\n`);
  writeFileSync(join(run, "metrics.jsonl"), `${lines.join("")}{"step": 5, "lo`);
  // A run that wrote a moment ago goes on, as far as anyone can tell.
  const hourAgo = new Date(Date.now() - 3_600_000);
  utimesSync(join(run, "metrics.jsonl"), hourAgo, hourAgo);
  const plan = {
    ...{
      format: "galvatron-plan",
      version: 1,
      model: "</script><b>tiny",
      world_size: 8,
    },
    ...{ global_batch: 32, num_microbatches: 4, precision: "fp32" },
    pipeline: { degree: 2, schedule: "1f1b", layers_per_stage: [5, 9] },
    layers: [
      { count: 1, tp_degree: 4 },
      { count: 12, tp_degree: 2 },
      { ulysses_degree: 4 },
    ],
  };
  writeFileSync(join(run, "plan.json"), JSON.stringify(plan));
  const event = (name: string, cat: string, ts: number, dur: number) => ({
    ...{ name, cat, ph: "X", ts, dur, pid: 0, tid: 0 },
    args: { microbatch: 0 },
  });
  const traceEvents = [
    event("F0", "forward", 0, 1000),
    event("send", "communication", 500, 900),
  ];
  writeFileSync(join(run, "trace.json"), JSON.stringify({ traceEvents }));
  return run;
}

/** The page from the disk; what it asks of a network is an error. */
async function openReport(page: Page, folder: string): Promise<string[]> {
  const asked: string[] = [];
  page.on("request", (request) => {
    if (/^(https?|ws):/.test(request.url())) asked.push(request.url());
  });
  const file = join(folder, "report.html");
  cli("report", folder, "--output", file);
  await page.goto(`file://${file}`);
  return asked;
}

test("one file without a network: title, state, notes, plan, pictures", async ({
  page,
}, info) => {
  const asked = await openReport(page, writeRun(info.outputPath()));
  await expect(page).toHaveTitle("</script><b>tiny: stopped-run");
  const main = page.getByRole("main");
  await expect(main).toContainText("last step 4");
  await expect(main).toContainText("cut off");
  await expect(main).toContainText("Validation loss");
  const layers = page.getByRole("region", {
    name: "Layers and their strategies",
  });
  await expect(layers.getByRole("row").nth(1)).toContainText("embedding");
  await expect(layers.getByRole("row").last()).toContainText("head");
  await expect(
    page.getByRole("img", { name: /^Timeline of a step/ }),
  ).toBeVisible();
  expect(asked).toEqual([]);
});

test("loss and evaluations as a table", async ({ page }, info) => {
  await openReport(page, writeRun(info.outputPath()));
  const loss = page.getByRole("figure", { name: "Loss", exact: true });
  await loss.getByRole("button", { name: "As table" }).click();
  await expect(loss.getByRole("row").nth(2)).toContainText("4.5");
});

test("axe finds nothing in either theme or language, nor does the page overflow", async ({
  page,
}, info) => {
  await openReport(page, writeRun(info.outputPath()));
  await page.setViewportSize({ width: 390, height: 800 });
  for (const names of [
    ["English", "Light", "Dark"],
    ["中文", "浅色", "深色"],
  ]) {
    for (const name of names) {
      await page.getByRole("radio", { name }).click();
      await page.waitForTimeout(300);
      expect(await violations(page)).toEqual([]);
    }
  }
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(
    390,
  );
});
