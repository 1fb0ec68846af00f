// Every page is there for everybody: in both themes, at the desk and on a phone.
import { call, newTask, start } from "./api.mjs";
import { base } from "./browser.mjs";

function pathsOf(ended, draft) {
  const tasks = [ended, draft].map(({ id }) => `/projects/1/tasks/${id}`);
  const panes = ["changes", "plan", "files", "notifications"].map((pane) => `${tasks[0]}?pane=${pane}`);
  const settings = ["devices", "notifications", "webhooks", "account"];
  return [
    "/login",
    "/projects/1/",
    "/projects/1/?search=nothing-like-it",
    "/projects/1/?new=1",
    "/projects/1/inbox",
    ...tasks,
    "/projects/1/tasks/00000000-0000-7000-8000-000000000000",
    "/projects/1/settings/nope",
    ...panes,
    ...settings.map((name) => `/projects/1/settings/${name}`),
  ];
}

/** Everything once at each size and in each theme; of the other two pairs the colours, which no size changes. */
export async function everyPageIsAccessible(browser, { expect, watched, checkAccess }) {
  const draft = await call("/tasks/", { title: "Acceptance: a draft", description: "It has no run." });
  const ended = await newTask("Acceptance: every page", [
    ["file path=a.txt", "one\ntwo"],
    ["say", "Done."],
  ]);
  await start(ended, { mode: "background" });
  const paths = pathsOf(ended, draft);
  for (const [size, theme, other] of [
    ["desk", "light", "dark"],
    ["phone", "dark", "light"],
  ]) {
    const page = await watched(browser, { size, theme });
    await page.goto(base + paths.find((path) => path.endsWith(ended.id)));
    await page.getByRole("button", { name: "Run again" }).waitFor();
    for (const path of paths) {
      await page.goto(base + path);
      await page.waitForSelector("main");
      await page.waitForLoadState("load");
      await page.waitForFunction(() => !document.querySelector("[data-loading]"));
      await checkAccess(page, `${path} ${size} ${theme}`);
      const isWide = await page.evaluate(
        () => document.documentElement.scrollWidth > document.documentElement.clientWidth,
      );
      expect(!isWide, `no sideways scrolling: ${path} ${size}`);
      await page.emulateMedia({ colorScheme: other });
      await checkAccess(page, `${path} ${size} ${other}`, ["color-contrast"]);
      await page.emulateMedia({ colorScheme: theme });
    }
    await page.context().close();
  }
}

/** A run that a hundred newer ones have pushed off the list can still be opened, and the others keep their numbers. */
export async function runsBeyondTheListAreShown(browser, { expect, watched }) {
  const { id } = await call("/tasks/", { title: "Acceptance: many runs", description: "Again and again." });
  const oldest = await call(`/tasks/${id}/runs/`, { environment: "local" });
  for (let number = 2; number <= 101; number += 1) await call(`/tasks/${id}/runs/`, { environment: "local" });
  const page = await watched(browser);
  const shown = () => page.getByRole("combobox", { name: "Run" }).locator("option:checked").textContent();
  await page.goto(`${base}/projects/1/tasks/${id}`);
  await page.getByRole("option", { name: "Run 101 (latest)" }).waitFor({ state: "attached" });
  expect((await shown()) === "Run 101 (latest)", "the newest of 101 runs has the number 101");
  await page.goto(`${base}/projects/1/tasks/${id}/runs/${oldest.id}`);
  await page.getByRole("option", { name: "An earlier run" }).waitFor({ state: "attached" });
  expect((await shown()) === "An earlier run", "the oldest of 101 runs is shown");
  await page.goto(`${base}/projects/1/tasks/${id}/runs/${id}`);
  await page.getByText("There is no such run").waitFor();
  await page.context().close();
}

export async function unknownSettingsAreNoPage(browser, { expect, watched }) {
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/settings/nope`);
  await page.getByRole("heading", { name: "There is no such page" }).waitFor();
  await page.getByRole("link", { name: "Devices" }).click();
  await page.locator('[aria-current="page"]', { hasText: "Devices" }).waitFor();
  expect(true, "an unknown page of the settings says so, beside the ways to the others");
  await page.context().close();
}
