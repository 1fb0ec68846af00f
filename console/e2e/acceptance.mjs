// Walks through the built console in Chromium and checks what unit tests cannot see.
//
// Needs a running stack and `npm run preview` (or the service itself, as CONSOLE_URL). Creates its own tasks.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { call, endRuns, newRun } from "./api.mjs";
import { base, launch, openPage, stack } from "./browser.mjs";
import * as flood from "./flood.mjs";
import * as notices from "./notices.mjs";
import * as questions from "./questions.mjs";
import * as sessions from "./sessions.mjs";
import * as streams from "./streams.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const failures = [];

function expect(holds, what) {
  console.log(`${holds ? "  ok" : "FAIL"}  ${what}`);
  if (!holds) failures.push(what);
}

/** A page that remembers what breaks the policy, and errors of scripts. */
async function watched(browser, options) {
  const page = await openPage(browser, options);
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(String(error)));
  page.on("console", (message) => {
    if (/Content Security Policy|Refused to/.test(message.text())) page.problems.push(message.text());
  });
  page.on("request", (request) => {
    const { origin } = new URL(request.url());
    if (![new URL(base).origin, new URL(stack.s3_endpoint_url).origin].includes(origin))
      page.problems.push(request.url());
  });
  return page;
}

async function checkAccess(page, what) {
  // The policy forbids scripts in the page; the browser's own door does not count as one.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    globalThis.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }),
  );
  for (const { id, nodes } of violations)
    console.log(`      ${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join("\n        ")}`);
  expect(violations.length === 0, `axe: ${what}`);
  expect(page.problems.length === 0, `policy and scripts: ${what} ${page.problems.join("; ").slice(0, 300)}`);
}

async function everyPageIsAccessible(browser) {
  const { results } = await call("/tasks/?limit=50");
  const ended = results.find(({ latest_run: run }) => run?.status === "completed");
  const asking = results.find(({ latest_run: run }) => run?.state.waiting_for?.kind === "permission");
  const draft = results.find(({ latest_run: run }) => !run);
  const tasks = [ended, asking, draft].filter(Boolean).map(({ id }) => `/projects/1/tasks/${id}`);
  const panes = ["changes", "plan", "files", "notifications"].map((pane) => `${tasks[0]}?pane=${pane}`);
  const settings = ["devices", "notifications", "webhooks", "account"].map(
    (name) => `/projects/1/settings/${name}`,
  );
  const paths = [
    "/login",
    "/projects/1/",
    "/projects/1/?search=nothing-like-it",
    "/projects/1/?new=1",
    "/projects/1/inbox",
    ...tasks,
    ...panes,
    ...settings,
  ];
  for (const [size, theme] of [
    ["desk", "light"],
    ["desk", "dark"],
    ["phone", "light"],
    ["phone", "dark"],
  ]) {
    const page = await watched(browser, { size, theme });
    for (const path of paths) {
      await page.goto(base + path);
      await page.waitForSelector("main", { timeout: 20_000 });
      await page.waitForLoadState("load");
      await page.waitForFunction(() => !document.querySelector("[data-loading]"), null, {
        timeout: 20_000,
      });
      await checkAccess(page, `${path} ${size} ${theme}`);
      const isWide = await page.evaluate(
        () => document.documentElement.scrollWidth > document.documentElement.clientWidth,
      );
      expect(!isWide, `no sideways scrolling: ${path} ${size}`);
    }
    await page.context().close();
  }
}

async function questionIsAnsweredByKeyboard(browser) {
  const { id } = await newRun("Acceptance: a question", [
    ["ask", "Go on?"],
    ["file path=a.txt", "one\ntwo"],
    ["say", "I went on."],
  ]);
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/tasks/${id}`);
  await page.getByRole("heading", { name: "Go on?" }).waitFor({ timeout: 60_000 });
  await page.keyboard.press("a");
  await page.getByText("Answered: yes").waitFor({ timeout: 30_000 });
  expect(true, "a question is answered by one key, and says so");
  await page.getByPlaceholder("Your turn: what next?").waitFor({ timeout: 30_000 });
  await page.keyboard.press("i");
  await page.keyboard.type("```say");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("I heard you.");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("```");
  await page.keyboard.press("Enter");
  await page.getByRole("log").getByText("Read by the agent").waitFor({ timeout: 30_000 });
  expect(
    (await page.getByRole("log").locator("pre", { hasText: "I heard you." }).count()) === 1,
    "a message is shown once, with its receipt",
  );
  await page.getByRole("button", { name: "Finish the conversation" }).click();
  await page.getByRole("button", { name: "Run again" }).waitFor({ timeout: 30_000 });
  await page.getByRole("button", { name: "Comment on line 2" }).click({ timeout: 30_000 });
  await page.keyboard.type("Say three instead.");
  await page.keyboard.press("Control+Enter");
  await page.getByRole("button", { name: "Send to the agent" }).click();
  await page.getByText("This run goes on from").waitFor({ timeout: 60_000 });
  expect(
    await page.getByRole("log").getByText("Say three instead.").isVisible(),
    "comments reach the agent in a run that goes on",
  );
  expect(page.problems.length === 0, `no problems ${page.problems.join("; ")}`);
  await page.context().close();
}

/** Pushes as the service composes them, handed to the worker by the browser's own tools. */
async function pushesAreShownAndReplaced(browser) {
  const page = await openPage(browser, { permissions: ["notifications"] });
  const tools = await page.context().newCDPSession(page);
  const registered = new Promise((resolve) => {
    tools.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => {
      if (registrations.length) resolve(registrations[0].registrationId);
    });
  });
  await tools.send("ServiceWorker.enable");
  await page.goto(`${base}/projects/1/`);
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => null));
  const registrationId = await registered;
  const push = async (title, seq, more = {}) => {
    const notification = { title, body: "", tag: "q:1", data: { taskId: "t", seq }, ...more };
    const data = JSON.stringify({ web_push: 8030, notification, app_badge: 1 });
    await tools.send("ServiceWorker.deliverPushMessage", {
      origin: new URL(base).origin,
      registrationId,
      data,
    });
  };
  const shown = () =>
    page.evaluate(async () => {
      const registration = await navigator.serviceWorker.ready;
      return (await registration.getNotifications()).map(({ title, actions }) => [title, actions.length]);
    });
  const until = async (title) => {
    for (let round = 0; round < 50; round += 1) {
      const titles = await shown();
      if (titles.some(([one]) => one === title)) return titles;
      await page.waitForTimeout(100);
    }
    return shown();
  };
  const actions = ["reject", "allow", "third"].map((action) => ({
    action,
    title: action,
    navigate: `${base}/a/x`,
  }));
  await push("Deploy?", 5, { actions });
  expect(JSON.stringify(await until("Deploy?")) === '[["Deploy?",2]]', "a push is shown with two actions");
  await push("Answered by Ana", 6, { silent: true });
  expect(
    JSON.stringify(await until("Answered by Ana")) === '[["Answered by Ana",0]]',
    "an answer replaces its question",
  );
  await push("Deploy?", 5);
  await push("Another", 1, { tag: "q:2" });
  await until("Another");
  expect(
    !(await shown()).some(([title]) => title === "Deploy?"),
    "a late push does not replace what is newer",
  );
  await page.context().close();
}

const SCENES = {
  pushesAreShownAndReplaced,
  everyPageIsAccessible,
  questionIsAnsweredByKeyboard,
  ...sessions,
  ...questions,
  ...notices,
  ...streams,
  ...flood,
};
const browser = await launch();
try {
  const chosen = process.argv.slice(2);
  for (const [name, scene] of Object.entries(SCENES)) {
    if (chosen.length && !chosen.includes(name)) continue;
    console.log(name);
    await scene(browser, { expect, watched, checkAccess }).catch((error) =>
      expect(false, `${name}: ${error}`),
    );
    await endRuns();
  }
} finally {
  await browser.close();
}
if (failures.length) {
  console.error(`${failures.length} failed`);
  process.exit(1);
}
