// Measures a run of 10,000 events beside an empty page, and one of 300 changed files: first paint, and tasks while scrolling.
//
// usage: node e2e/load.mjs [path of a long run below the console]; needs `npm run preview` or CONSOLE_URL.
import { base, launch, openPage } from "./browser.mjs";
import { newFile, openRun, runWithPatch, text, update } from "./outside.mjs";
import { sum, tasksOf } from "./tasks.mjs";

const EVENTS = 10_000;
const ROUNDS = 5;
const LONG_TASK = 50;

const median = (values) => values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)];

const PROSE = "I read **the module** and changed `parse()`:\n\n- it takes a stream\n- it keeps the order\n\n";
const CODE = "```py\ndef parse(lines):\n    return [line.strip() for line in lines]\n```\n";
const OUTPUT = Array.from(
  { length: 12 },
  (_, index) => `tests/test_${index}.py \u001b[32mPASSED\u001b[0m`,
).join("\n");

function turn(number) {
  const call = (kind, more) => {
    const toolCallId = `${kind}-${number}`;
    const said = { toolCallId, title: `${kind} src/part_${number}.py`, kind, status: "in_progress" };
    return [
      update({ sessionUpdate: "tool_call", ...said }),
      update({ sessionUpdate: "tool_call_update", toolCallId, status: "completed", ...more }),
    ];
  };
  const diff = {
    type: "diff",
    path: `src/part_${number}.py`,
    oldText: "a = 1\nb = 2\n",
    newText: "a = 1\nb = 3\n",
  };
  return [
    update({ sessionUpdate: "agent_message", messageId: `m${number}`, content: text(PROSE + CODE) }),
    ...call("read", {}),
    ...call("edit", { content: [diff] }),
    ...call("execute", { content: [{ type: "content", content: text(OUTPUT) }] }),
  ];
}

async function longRun() {
  const run = await openRun("Load: a long run");
  const events = [];
  for (let number = 0; events.length < EVENTS; number += 1) events.push(...turn(number));
  for (let from = 0; from < EVENTS; from += 1000)
    await run.send(events.slice(from, Math.min(from + 1000, EVENTS)));
  await run.end();
  return `/projects/1${run.path}`;
}

/** Milliseconds from the navigation until what is waited for is painted: by the clock, and of the page's thread. */
async function firstPaint(browser, page, address, selector) {
  let clock = 0;
  const tasks = await tasksOf(browser, page, async () => {
    await page.goto(address, { waitUntil: "commit" });
    await page.waitForSelector(selector, { timeout: 60_000 });
    clock = await page.evaluate(
      () => new Promise((resolve) => requestAnimationFrame(() => resolve(performance.now()))),
    );
  });
  return { clock, thread: sum(tasks) };
}

const path = process.argv[2] ?? (await longRun());
const browser = await launch();
const page = await openPage(browser);
const rounds = { empty: [], long: [] };
for (let round = 0; round < ROUNDS; round += 1) {
  rounds.empty.push(await firstPaint(browser, page, `${base}/projects/1/settings/account`, "main h2"));
  rounds.long.push(await firstPaint(browser, page, `${base}${path}`, '[role="log"] [class*="tool"]'));
}
for (const measure of ["clock", "thread"]) {
  const [long, empty] = [rounds.long, rounds.empty].map((all) => median(all.map((one) => one[measure])));
  console.log(
    `first paint, ${measure}: ${long.toFixed(0)} ms, an empty page ${empty.toFixed(0)} ms, ratio ${(long / empty).toFixed(2)}`,
  );
}
await page.waitForTimeout(2000);
const names = Array.from({ length: 300 }, (_, index) => `src/part_${index}.py`);
const changed = await runWithPatch("Load: many changes", names.map((name) => newFile(name, 17)).join(""));
let shown = 0;
const opening = await tasksOf(browser, page, async () => {
  await page.goto(`${base}/projects/1${changed.path}`, { waitUntil: "commit" });
  await page.waitForSelector('[data-file="0"] td');
  shown = await page.evaluate(() => performance.now());
  await page.waitForTimeout(2000);
});
console.log(
  `300 files, 5,100 lines: shown after ${shown.toFixed(0)} ms, ${sum(opening).toFixed(0)} ms of the thread`,
);
const jumping = await tasksOf(browser, page, () =>
  page.evaluate(async () => {
    const list = document.querySelector("[data-file]").parentElement;
    for (let index = 0; index < 100; index += 1) {
      list.scrollTop += index % 10 === 0 ? 5000 : 300;
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
  }),
);
console.log(
  `scrolling in them: ${jumping.filter((one) => one > LONG_TASK).length} tasks over ${LONG_TASK} ms, the longest ${jumping[0]?.toFixed(0)} ms`,
);
await page.goto(`${base}${path}`);
await page.waitForSelector('[role="log"] [class*="tool"]');
await page.waitForTimeout(2000);
const height = await page.evaluate(() => document.querySelector('[role="log"]').scrollHeight);
const tasks = await tasksOf(browser, page, () =>
  page.evaluate(async () => {
    const log = document.querySelector('[role="log"]');
    for (let index = 0; index < 150; index += 1) {
      log.scrollTop -= 300;
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
  }),
);
const slow = tasks.filter((one) => one > LONG_TASK).length;
console.log(
  `scrolling in ${height} px: ${slow} tasks over ${LONG_TASK} ms, the longest ${tasks[0]?.toFixed(0)} ms of the thread`,
);
await browser.close();
