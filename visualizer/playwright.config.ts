import { defineConfig, type PlaywrightTestConfig } from "@playwright/test";

// Debian's Chromium: nothing is downloaded.
export const chromium: PlaywrightTestConfig["use"] = {
  browserName: "chromium",
  launchOptions: {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu"],
  },
  viewport: { width: 1280, height: 900 },
};

export default defineConfig({
  testDir: "../tests/web",
  testMatch: "*_test.ts",
  outputDir: "test-results",
  forbidOnly: true,
  workers: 1,
  // Deadlines, not measurements: a machine that does other work takes many times as long.
  timeout: 240_000,
  expect: { timeout: 60_000 },
  reporter: "list",
  use: chromium,
});
