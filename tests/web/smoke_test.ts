import { expect, test } from "../../visualizer/testing";

test("the page comes up, and says nothing is wrong", async ({ page, visualizer }) => {
  const errors: string[] = [];
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(visualizer);
  await expect(page.getByRole("heading", { level: 1 })).toContainText("Galvatron");
  expect(errors).toEqual([]);
});
