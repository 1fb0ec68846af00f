// Walks through the built console in Chromium and checks what unit tests cannot see.
//
// `make test-console` plays all scenes on a stack of their own. By hand they need a running stack, and `npm run preview` or
// the service itself, as CONSOLE_URL.
import { AsyncLocalStorage } from "node:async_hooks";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import * as agents from "./agents.mjs";
import { withRuns } from "./api.mjs";
import * as archive from "./archive.mjs";
import * as arrivals from "./arrivals.mjs";
import { base, launch, openPage, stack } from "./browser.mjs";
import * as changes from "./changes.mjs";
import * as checks from "./checks.mjs";
import * as conversation from "./conversation.mjs";
import * as drafts from "./drafts.mjs";
import * as editing from "./editing.mjs";
import * as files from "./files.mjs";
import * as finding from "./finding.mjs";
import * as flood from "./flood.mjs";
import * as hostile from "./hostile.mjs";
import * as messages from "./messages.mjs";
import * as notices from "./notices.mjs";
import * as pages from "./pages.mjs";
import * as parts from "./parts.mjs";
import * as pushes from "./pushes.mjs";
import * as questions from "./questions.mjs";
import * as reviews from "./reviews.mjs";
import * as sessions from "./sessions.mjs";
import * as settings from "./settings.mjs";
import * as streams from "./streams.mjs";
import * as subscriptions from "./subscriptions.mjs";
import * as twice from "./twice.mjs";
import * as unasked from "./unasked.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const scenes = new AsyncLocalStorage();
const failures = [];

function note(line) {
  scenes.getStore().push(line);
}

function expect(holds, what) {
  note(`${holds ? "  ok" : "FAIL"}  ${what}`);
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

const AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/** Look for violations of WCAG 2.2 A and AA, and of what is good practice; or of some of axe's rules. */
async function checkAccess(page, what, rules = null) {
  // The policy forbids scripts in the page; the browser's own door does not count as one.
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe);
  // Colours that are on their way to others are those of no theme.
  await page.evaluate(async () => {
    const moving = () => document.getAnimations().filter((one) => one instanceof CSSTransition);
    while (moving().length > 0) await Promise.allSettled(moving().map((one) => one.finished));
  });
  const { violations } = await page.evaluate(
    (runOnly) => globalThis.axe.run(document, { runOnly, resultTypes: ["violations"] }),
    rules ? { type: "rule", values: rules } : { type: "tag", values: [...AA, "best-practice"] },
  );
  for (const { id, nodes } of violations)
    note(`      ${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join("\n        ")}`);
  expect(violations.length === 0, `axe: ${what}`);
  expect(page.problems.length === 0, `policy and scripts: ${what} ${page.problems.join("; ").slice(0, 300)}`);
}

const { webhooksAreKeptUp, ...ofDevices } = settings;
// Rows are played beside each other, since scenes mostly wait.
const ROWS = [
  ...Object.entries({ ...streams, ...flood }).map(([name, scene]) => ({ [name]: scene })),
  {
    ...conversation,
    ...messages,
    ...files,
    ...archive,
    ...agents,
    ...sessions,
    ...drafts,
    ...twice,
    ...pushes,
    ...hostile,
  },
  { ...pages, ...parts, ...changes, ...reviews, ...editing, ...finding },
];
// Played behind them, since others would disturb: a question that comes or goes above another in the inbox makes that one
// that has just appeared, a device gets the pushes of all, an endpoint all events of a type.
const LAST = [
  { webhooksAreKeptUp },
  { ...arrivals, ...checks, ...unasked, ...questions, ...ofDevices, ...notices, ...subscriptions },
];

/** Play a scene, and print what it has seen. */
async function play(browser, name, scene) {
  const began = performance.now();
  const lines = [];
  await scenes.run(lines, () =>
    withRuns(() => scene(browser, { expect, watched, checkAccess })).catch((error) =>
      expect(false, `${name}: ${error.stack}`),
    ),
  );
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  console.log([`${name} (${seconds} s)`, ...lines].join("\n"));
}

const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => ![...ROWS, ...LAST].some((row) => name in row));
if (unknown.length) {
  console.error(`There is no scene ${unknown.join(", ")}.`);
  process.exit(2);
}
const browser = await launch();

async function playRow(row) {
  for (const [name, scene] of Object.entries(row))
    if (!chosen.length || chosen.includes(name)) await play(browser, name, scene);
}

try {
  await Promise.all(ROWS.map(playRow));
  await Promise.all(LAST.map(playRow));
} finally {
  await browser.close();
}
if (failures.length) {
  console.error(`${failures.length} failed`);
  process.exit(1);
}
