// Draws the console for the README: a run at the desk, and the tasks on a phone.
//
// usage: node e2e/screenshots.mjs <folder>; needs a running stack in which `make demo` has run, and `npm run preview`.
import { join } from "node:path";
import { base, launch, openPage, stack } from "./browser.mjs";

const folder = process.argv[2] ?? "shots";
const answer = await fetch(`${stack.base_url}/api/projects/@current/tasks/?status=completed&limit=100`, {
  headers: { Authorization: `Bearer ${stack.api_key}` },
});
const { results } = await answer.json();
const shown = results.find(({ latest_run: run }) => run.output?.files_changed?.length > 1) ?? results[0];
if (!shown) throw new Error("No completed run: let `make demo` run first.");

const browser = await launch();
for (const [name, size, path] of [
  ["console-desk", "desk", `/projects/${stack.project_id}/tasks/${shown.id}`],
  ["console-phone", "phone", `/projects/${stack.project_id}/`],
]) {
  const page = await openPage(browser, { size });
  await page.goto(base + path);
  await page.waitForSelector("main");
  await page.waitForFunction(() => !document.querySelector("[data-loading]"));
  await page.waitForTimeout(500);
  await page.screenshot({ path: join(folder, `${name}.png`) });
  await page.context().close();
}
await browser.close();
