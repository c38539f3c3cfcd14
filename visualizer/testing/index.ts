// What the tests of the page stand on (tests/web): Playwright with axe, and the server under test, a real
// `galvatron visualize` of its own for each worker. They import from here, since their folder has no packages.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import AxeBuilder from "@axe-core/playwright";
import { test as base, expect, type Page } from "@playwright/test";

export { expect, type Page };

export interface Server {
  url: string;
  process: ChildProcess;
}

const binary = process.env.GALVATRON_BINARY ?? "galvatron";

/** Starts `galvatron visualize --port 0 FILES...`; resolves when it has said its address. */
export function start_server(files: string[] = []): Promise<Server> {
  const child = spawn(binary, ["visualize", "--port", "0", ...files]);
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

export const test = base.extend<{ visualizer: string }, { server: Server }>({
  server: [
    // Playwright reads from the pattern which fixtures it needs: none.
    // eslint-disable-next-line no-empty-pattern
    async ({}, provide) => {
      const server = await start_server();
      await provide(server);
      server.process.kill();
    },
    { scope: "worker" },
  ],
  // GALVATRON_PAGE: address of `npm run dev` while the page is being written.
  visualizer: async ({ server }, provide) => provide(process.env.GALVATRON_PAGE ?? server.url),
});

/** Rules of WCAG 2.2 A and AA that the page breaks, with the elements. */
export async function violations(page: Page): Promise<string[]> {
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
  const found = await new AxeBuilder({ page }).withTags(tags).analyze();
  return found.violations.flatMap((rule) =>
    rule.nodes.map((node) => `${rule.id}: ${node.target.join(" ")}: ${node.failureSummary}`),
  );
}
