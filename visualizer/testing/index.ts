// What the tests of the page stand on (tests/web): Playwright with axe, and the server under test, a real
// `galvatron visualize` of its own for each worker. They import from here, since their folder has no packages.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import AxeBuilder from "@axe-core/playwright";
import { test as base, expect, type Locator, type Page } from "@playwright/test";

export { expect, type Locator, type Page };

export interface Server {
  url: string;
  process: ChildProcess;
}

const binary = process.env.GALVATRON_BINARY ?? "galvatron";

/** What the command line prints, or says where it refuses: the page must show the same to the last digit. */
export function cli(...words: string[]): string {
  const { stdout, stderr, error } = spawnSync(binary, words, { encoding: "utf8" });
  if (error) throw error;
  return stdout === "" ? stderr : stdout;
}

/** What the page asks when it is opened, in words of the command line. */
export const question = [
  ...["--model", "llama2-13b"],
  ...["--cluster", "8xA100-40G"],
  ...["--global-batch", "64"],
];

/** Starts `galvatron visualize`; `port` 0: a free one. */
export function startServer(files: string[] = [], port = 0): Promise<Server> {
  return start("visualize", "--port", String(port), ...files);
}

/** Starts `galvatron report RUN --watch`. */
export function startWatch(run: string): Promise<Server> {
  return start("report", run, "--watch");
}

/** Resolves when it has said its address. */
function start(...words: string[]): Promise<Server> {
  const child = spawn(binary, words);
  const said: string[] = [];
  return new Promise((resolve, reject) => {
    const listen = (line: string) => {
      said.push(line);
      const url = /https?:\/\/\S+/.exec(line)?.[0];
      if (url) resolve({ url, process: child });
    };
    createInterface({ input: child.stdout }).on("line", listen);
    createInterface({ input: child.stderr }).on("line", listen);
    child.on("error", reject);
    child.on("exit", (code) =>
      reject(new Error(`${binary} ended with ${code}: ${said.join("\n")}`)),
    );
  });
}

export function stopServer({ process: child }: Server): Promise<void> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill();
  });
}

export const test = base.extend<{ visualizer: string }, { server: Server }>({
  server: [
    // Playwright reads from the pattern which fixtures it needs: none.
    // eslint-disable-next-line no-empty-pattern
    async ({}, provide) => {
      const server = await startServer();
      await provide(server);
      await stopServer(server);
    },
    { scope: "worker" },
  ],
  // GALVATRON_PAGE: address of `npm run dev` while the page is being written.
  visualizer: async ({ server }, provide) => provide(process.env.GALVATRON_PAGE ?? server.url),
});

/** The page with its first answer. */
export async function openPage(page: Page, url: string) {
  await page.goto(url);
  await expect(figure(page, "Step")).toBeVisible();
  await answered(page);
}

/** Waits until nothing is being asked. */
export async function answered(page: Page) {
  await expect(page.locator(".summary[aria-busy=false]")).toBeVisible();
  await expect(page.locator(".spinner")).toHaveCount(0);
}

/** A figure of the summary by its name. */
export function figure(page: Page, name: string) {
  return page
    .locator(".summary .figure", { has: page.locator("dt", { hasText: name }) })
    .first()
    .locator("dd b");
}

export async function showTab(page: Page, name: string) {
  await page.getByRole("tab", { name }).click();
}

export interface TestFile {
  name: string;
  text: string;
}

/** Drops files on the page as a person does with the mouse. */
export async function drop(page: Page, ...files: TestFile[]) {
  const data = await page.evaluateHandle((dropped: TestFile[]) => {
    const transfer = new DataTransfer();
    for (const { name, text } of dropped) {
      transfer.items.add(new File([text], name, { type: "application/json" }));
    }
    return transfer;
  }, files);
  for (const event of ["dragenter", "dragover", "drop"]) {
    await page.dispatchEvent(".drop-area", event, {
      dataTransfer: data,
      clientX: 400,
      clientY: 400,
    });
  }
}

/** Rules of WCAG 2.2 A and AA that the page breaks, with the elements. */
export async function violations(page: Page): Promise<string[]> {
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
  const found = await new AxeBuilder({ page }).withTags(tags).analyze();
  return found.violations.flatMap((rule) =>
    rule.nodes.map((node) => `${rule.id}: ${node.target.join(" ")}: ${node.failureSummary}`),
  );
}
