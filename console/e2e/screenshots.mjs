// Draws the console for the README: a run at the desk, and its question on a phone.
//
// usage: node e2e/screenshots.mjs <folder>; `make screenshots` calls it in the stack of the demo.
import { join } from "node:path";
import { call } from "./api.mjs";
import { base, launch, openPage, stack } from "./browser.mjs";

// As in the demo (app/devstack/demo/question.py).
const ASKING = "```ask options=no,yes\nMay others read this map?\n```";

const folder = process.argv[2];
const { results: tasks } = await call("/tasks/?limit=1");
const [task] = tasks;
const { results: runs } = await call(`/tasks/${task.id}/runs/`);
const first = runs.at(-1);
const address = `${base}/projects/${stack.project_id}/tasks/${task.id}`;

const browser = await launch();

// Code has its colours a moment after its text.
const MARKED = '[style*="--code-keyword"]';

/** Draw a page once all of this is on it. */
async function draw(name, size, url, parts, options) {
  const page = await openPage(browser, { size, ...options });
  await page.goto(url);
  for (const part of parts) await page.locator(part).first().waitFor();
  await page.waitForFunction(() => !document.querySelector("[data-loading]"));
  await page.evaluate(() => document.fonts.ready.then(() => null));
  await page.screenshot({ path: join(folder, `${name}.png`), animations: "disabled" });
  await page.context().close();
}

await draw("console-desk", "desk", `${address}/runs/${first.id}`, [
  `[role="log"] ${MARKED}`,
  `[data-file] ${MARKED}`,
]);
await call(`/tasks/${task.id}/run/`, { mode: "interactive", pending_user_message: ASKING });
await draw("console-phone", "phone", address, ["role=heading[name=/May others/]", `[role="log"] ${MARKED}`], {
  deviceScaleFactor: 2,
});
await browser.close();
