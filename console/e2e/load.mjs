// Measures a long run beside an empty page, in one browser: first paint of its transcript, and tasks while scrolling.
//
// usage: node e2e/load.mjs <path of the run below the console> ; needs `npm run preview` or CONSOLE_URL.
import { base, launch, openPage } from "./browser.mjs";

const path = process.argv[2];
const ROUNDS = 5;

const median = (values) => values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)];

/** Milliseconds from the navigation until the last row is in the document and painted. */
async function firstPaint(page, address, selector) {
  await page.goto(address, { waitUntil: "commit" });
  await page.waitForSelector(selector, { timeout: 60_000 });
  return page.evaluate(
    () => new Promise((resolve) => requestAnimationFrame(() => resolve(performance.now()))),
  );
}

const browser = await launch();
const page = await openPage(browser);
const empty = [];
const long = [];
for (let round = 0; round < ROUNDS; round += 1) {
  empty.push(await firstPaint(page, `${base}/projects/1/settings/account`, "main"));
  long.push(await firstPaint(page, `${base}${path}`, '[role="log"] [class*="tool"]'));
}
await page.waitForTimeout(2000);
const tasks = await page.evaluate(async () => {
  const durations = [];
  new PerformanceObserver((list) =>
    durations.push(...list.getEntries().map(({ duration }) => duration)),
  ).observe({
    type: "longtask",
  });
  const log = document.querySelector('[role="log"]');
  const before = log.scrollHeight;
  for (let index = 0; index < 150; index += 1) {
    log.scrollTop -= 300;
    await new Promise((resolve) => requestAnimationFrame(resolve));
  }
  await new Promise((resolve) => setTimeout(resolve, 500));
  return { durations, height: before, nodes: document.querySelectorAll("*").length };
});
const [slow, base0] = [median(long), median(empty)];
console.log(
  `first paint: ${slow.toFixed(0)} ms, an empty page ${base0.toFixed(0)} ms, ratio ${(slow / base0).toFixed(2)}`,
);
const worst = Math.max(0, ...tasks.durations);
console.log(
  `scrolling ${tasks.height} px: ${tasks.durations.length} tasks over 50 ms, the longest ${worst.toFixed(0)} ms; ${tasks.nodes} elements`,
);
await browser.close();
