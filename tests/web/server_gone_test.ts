import {
  expect,
  figure,
  openPage,
  startServer,
  stopServer,
  test,
} from "../../visualizer/testing";

test.skip(
  Boolean(process.env.GALVATRON_PAGE),
  "the page is not the server's own",
);

test("with the server gone the page keeps its state, and goes on when it is back", async ({
  page,
}) => {
  const server = await startServer();
  await openPage(page, server.url);
  await stopServer(server);
  const batch = page.getByRole("textbox", { name: "Global batch" });
  await batch.fill("32");
  await expect(page.locator(".wide-alert")).toContainText(
    "galvatron visualize",
  );
  await expect(figure(page, "Step")).toBeVisible();
  await expect(batch).toHaveValue("32");
  const before = await figure(page, "Step").textContent();

  const again = await startServer([], Number(new URL(server.url).port));
  await expect(page.locator(".wide-alert")).toHaveCount(0);
  await expect(figure(page, "Step")).not.toHaveText(before ?? "");
  await stopServer(again);
});
