import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  answered,
  cli,
  drop,
  expect,
  figure,
  openPage,
  question,
  showTab,
  test,
} from "../../visualizer/testing";

const data = join(__dirname, "../data");

test("my plan, dropped, is shown and compared", async ({
  page,
  visualizer,
}, info) => {
  const path = info.outputPath("mine.json");
  const space = [
    "--allow",
    "tp_degree=1",
    "--allow",
    "zero_stage=3",
    "--allow",
    "pp_degree=1",
  ];
  cli("search", ...question, ...space, "--output", path);
  await openPage(page, visualizer);
  await drop(page, { name: "mine.json", text: readFileSync(path, "utf8") });
  await expect(
    page.getByRole("heading", { name: "Plan: mine.json" }),
  ).toBeVisible();
  await answered(page);
  const said = cli("simulate", path, "--cluster", "8xA100-40G");
  await expect(figure(page, "Step")).toHaveText(
    /predicted step ([\d.]+ m?s)/.exec(said)?.[1] ?? "",
  );
  await showTab(page, "Compare");
  await expect(page.locator(".verdict")).toContainText("more tokens/s");
  await expect(page.getByRole("table", { name: "" }).first()).toContainText(
    "zero3",
  );
});

test("compare my Galvatron-2 plan with yours", async ({ page, visualizer }) => {
  const name =
    "galvatron_config_llama2-7b_1nodes_8gpus_per_node_36GB_bf16.json";
  await openPage(page, visualizer);
  await page.getByRole("combobox", { name: "Model" }).fill("llama2-7b");
  await page.getByRole("option", { name: "llama2-7b" }).first().click();
  await answered(page);
  await drop(page, {
    name,
    text: readFileSync(join(data, "galvatron2/profiles", name), "utf8"),
  });
  await expect(
    page.getByRole("heading", { name: `Plan: ${name}` }),
  ).toBeVisible();
  await answered(page);
  await expect(page.getByRole("option", { name: "Layer 0," })).toBeVisible();
  await showTab(page, "Compare");
  await expect(page.locator(".verdict")).toContainText("more tokens/s");
});

test("a plan that cannot be here is no success, and has no figures", async ({
  page,
  visualizer,
}) => {
  const name =
    "galvatron_config_llama2-7b_1nodes_8gpus_per_node_36GB_bf16.json";
  const path = join(data, "galvatron2/profiles", name);
  const plan = JSON.parse(readFileSync(path, "utf8")) as object;
  await openPage(page, visualizer);
  // 32 layers for a model of 40.
  await drop(page, { name: "g2.json", text: JSON.stringify(plan) });
  const summary = page.locator(".summary");
  await expect(summary.locator(".alert")).toContainText("This plan cannot be");
  await expect(page.locator(".notice.bad")).toContainText("g2.json");
  await expect(page.locator(".notice.note")).toHaveText(
    /global batch is now 16/,
  );
  await answered(page);
  await expect(summary).toContainText("Figures of the plan before");
  await expect(summary.locator(".figures.old")).toHaveCount(1);
  await expect(summary).not.toContainText("fits");
  await showTab(page, "Memory");
  await expect(page.getByRole("tabpanel")).toContainText("This plan cannot be");
  await showTab(page, "Compare");
  await expect(
    page.getByRole("button", { name: "g2.json (cannot be)" }),
  ).toBeVisible();

  // A file that is no plan at all is not taken; what is said is of it alone.
  await drop(page, {
    name: "neg.json",
    text: JSON.stringify({ ...plan, chunks: -3 }),
  });
  await expect(
    page.locator(".notice.bad", { hasText: "neg.json" }),
  ).toContainText("-3");
  await expect(
    page.getByRole("heading", { name: "Plan: g2.json" }),
  ).toBeVisible();
  await expect(page.locator(".summary .alert")).toHaveCount(1);
});

test("a dropped plan is compared, whatever was compared before", async ({
  page,
  visualizer,
}, info) => {
  const path = info.outputPath("mine.json");
  cli("search", ...question, "--allow", "pp_degree=1", "--output", path);
  await openPage(page, visualizer);
  await showTab(page, "Search");
  await page
    .getByRole("button", { name: "Compare ZeRO-3 with the searched plan" })
    .click();
  await expect(page.getByRole("button", { name: /^ZeRO-3/ })).toBeVisible();
  await drop(page, { name: "mine.json", text: readFileSync(path, "utf8") });
  await expect(
    page.getByRole("button", { name: "Shown: mine.json" }),
  ).toBeVisible();
  await answered(page);
  await expect(page.locator(".summary")).toContainText(
    /Against the searched plan: [+±−][\d.]+ % time, [+±−][\d.]+ \w+ memory/,
  );
});

test("a config.json becomes the model", async ({ page, visualizer }) => {
  await openPage(page, visualizer);
  const config = {
    ...{
      model_type: "llama",
      hidden_size: 2048,
      intermediate_size: 5632,
      num_hidden_layers: 22,
    },
    ...{ num_attention_heads: 32, num_key_value_heads: 4, vocab_size: 32000 },
    ...{ max_position_embeddings: 2048, architectures: ["LlamaForCausalLM"] },
  };
  await drop(page, { name: "config.json", text: JSON.stringify(config) });
  await expect(page.getByRole("group", { name: "Model" })).toContainText(
    "config.json",
  );
  await answered(page);
  await expect(page.getByRole("option")).toHaveCount(24);
});

const bad = [
  { what: "no JSON", name: "plan.json", text: "step,loss\n1,2\n" },
  {
    what: "NaN",
    name: "nan.json",
    text: '{"format": "galvatron-plan", "world_size": NaN}',
  },
  { what: "another format", name: "other.json", text: '{"hello": [1, 2, 3]}' },
  { what: "HTML", name: "page.json", text: "<img src=x onerror=alert(1)>" },
];
for (const { what, name, text } of bad) {
  test(`a dropped file that is ${what} is refused in one sentence, and the state stays`, async ({
    page,
    visualizer,
  }) => {
    await openPage(page, visualizer);
    const before = await figure(page, "Step").textContent();
    await drop(page, { name, text });
    await expect(page.locator(".notice.bad")).toContainText(name);
    await expect(page.locator(".notice.bad img")).toHaveCount(0);
    await expect(figure(page, "Step")).toHaveText(before ?? "");
    await page.getByRole("button", { name: "Dismiss" }).click();
    await expect(page.locator(".notice")).toHaveCount(0);
  });
}

test("what is said of a file is in sight wherever the page is scrolled to", async ({
  page,
  visualizer,
}) => {
  await openPage(page, visualizer);
  await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
  expect(await page.evaluate(() => window.scrollY)).toBeGreaterThan(0);
  await drop(page, { name: "other.json", text: '{"hello": [1, 2, 3]}' });
  await expect(page.locator(".notice.bad")).toBeInViewport({ ratio: 1 });
});

test("a file that is too large is not sent", async ({ page, visualizer }) => {
  await openPage(page, visualizer);
  const asked: string[] = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.evaluate(() => {
    const transfer = new DataTransfer();
    transfer.items.add(
      new File([new Uint8Array(80 << 20)], "model.safetensors"),
    );
    const area = document.querySelector(".drop-area");
    for (const type of ["dragenter", "dragover", "drop"]) {
      area?.dispatchEvent(
        new DragEvent(type, { dataTransfer: transfer, bubbles: true }),
      );
    }
  });
  await expect(page.locator(".notice.bad")).toContainText(
    "model.safetensors has 80.0 MiB",
  );
  expect(asked.filter((url) => url.includes("identify"))).toEqual([]);
});
