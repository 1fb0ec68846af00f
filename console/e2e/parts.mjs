// Parts of the console that are loaded late: without a connection they say so, and come when there is one again.
import { base } from "./browser.mjs";

export async function missingPartIsLoadedLater(browser, { expect, watched, checkAccess }) {
  const page = await watched(browser);
  const failure = page.getByRole("heading", { name: "This page cannot be shown" });
  const settings = page.getByRole("heading", { level: 1, name: "Settings" });
  const retry = page.getByRole("button", { name: "Try again" });
  await page.goto(`${base}/projects/1/`);
  await page.getByRole("heading", { level: 1, name: "Tasks" }).waitFor();
  await page.context().setOffline(true);
  await page.getByRole("link", { name: "Settings" }).click();
  await failure.waitFor();
  await page.getByText("It could not be loaded.").waitFor();
  expect(await page.getByRole("link", { name: "Inbox" }).isVisible(), "offline, the rest of the page stays");
  await checkAccess(page, "a page that could not be loaded");
  await retry.click();
  await page.getByRole("link", { name: "Tasks" }).click();
  await page.getByRole("heading", { level: 1, name: "Tasks" }).waitFor();
  expect(true, "and other pages can still be opened");
  await page.getByRole("link", { name: "Settings" }).click();
  await failure.waitFor();
  await page.context().setOffline(false);
  await settings.waitFor();
  expect(true, "online again, the page comes by itself");

  let isOld = true;
  await page.goto(`${base}/projects/1/`);
  page.on("request", (request) => {
    if (request.isNavigationRequest()) isOld = false;
  });
  await page.route(/\/assets\/SettingsPage-/, (route) =>
    isOld ? route.fulfill({ status: 404 }) : route.continue(),
  );
  await page.getByRole("link", { name: "Settings" }).click();
  await failure.waitFor();
  await retry.click();
  await settings.waitFor();
  expect(!isOld, "what stays missing reloads the page, which has the names of the new files");
  await page.context().close();
}
