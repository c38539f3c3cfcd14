// `npm run screenshots`: pictures of each view for docs/images, of the real page with its first question.
import { defineConfig } from "@playwright/test";
import base, { chromium } from "./playwright.config";

export default defineConfig({
  ...base,
  testDir: "testing",
  testMatch: "screenshots.ts",
  timeout: 180_000,
  use: { ...chromium, deviceScaleFactor: 1 },
});
