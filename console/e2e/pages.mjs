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
