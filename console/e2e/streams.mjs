// A run is seen whole whatever happens to the stream.
import { call, newRun, newTask, start } from "./api.mjs";
import { base, openPage } from "./browser.mjs";
import { openCable } from "./cable.mjs";
import { startApi } from "./service.mjs";

// Long enough for what happens meanwhile.
const LINES = 40;
const PAUSE = 1;
const HOUR = 3_600_000;
const OUTAGE = 10_000;
const ROTATIONS = 3;

/** Open a task at an address of the service, run it, and return it with its page once the run has begun to write. */
async function watchRun(browser, title, url, { hasClock = false } = {}) {
  const script = `for i in $(seq ${LINES}); do echo "line-$i-end"; sleep ${PAUSE}; done`;
  const task = await newTask(title, [["sh", script]]);
  const page = await openPage(browser);
  if (hasClock) await page.clock.install();
  // Before the run, which does not wait for a page that is slow.
  await page.goto(`${url}/projects/1/tasks/${task.id}`);
  await page.getByRole("heading", { name: "No run yet" }).waitFor();
  await start(task, { mode: "background" });
  await page.getByText("line-3-end").waitFor();
  return { task, page };
}

/** Wait for the end of the run; every line must be there, once and in order. */
async function expectWhole(page, expect, what) {
  await page.getByRole("button", { name: "Run again" }).waitFor();
  const tool = page.getByRole("log").getByRole("button", { expanded: false }).filter({ hasText: "sh: for" });
  if (await tool.count()) await tool.click();
  const output = page.getByRole("group", { name: /Output of/ });
  // biome-ignore lint/performance/useDomNodeTextContent: the locator's own method, not the element's
  const text = await output.innerText();
  const seen = [...text.matchAll(/line-(\d+)-end/g)].map(([, number]) => Number(number));
  expect(
    seen.length === LINES && seen.every((number, index) => number === index + 1),
    `${what} loses and doubles nothing (${seen.length} of ${LINES} lines)`,
  );
  expect((await page.getByText("events are missing here").count()) === 0, `${what} leaves no gap`);
  await page.context().close();
}

export async function streamSurvivesAnOutage(browser, { expect }) {
  const api = await startApi();
  const { page } = await watchRun(browser, "Acceptance: an outage", api.url);
  api.kill();
  // The bar is an outage of ten seconds.
  const isLongEnough = new Promise((resolve) => setTimeout(resolve, OUTAGE));
  await page.getByText("Not connected.").waitFor();
  await isLongEnough;
  await api.revive();
  await expectWhole(page, expect, "an API that was dead for ten seconds");
  api.stop();
}

export async function streamIsRotated(browser, { expect }) {
  const cable = await openCable();
  const { page } = await watchRun(browser, "Acceptance: rotation", cable.url);
  const failures = [];
  await page.exposeFunction("onOffline", (text) => failures.push(text));
  await page.evaluate(() => {
    new MutationObserver(() => {
      // biome-ignore lint/performance/useDomNodeTextContent: only what is visible counts
      if (document.body.innerText.includes("Not connected.")) globalThis.onOffline("offline");
    }).observe(document.body, { childList: true, subtree: true });
  });
  const before = cable.opened();
  for (let round = 0; round < ROTATIONS; round += 1) await cable.rotate();
  const opened = cable.opened() - before;
  // On a slow machine the run may have ended, which opens one more.
  expect(
    [ROTATIONS, ROTATIONS + 1].includes(opened),
    `each rotation opens one stream (${opened} for ${ROTATIONS})`,
  );
  expect(failures.length === 0, "a rotation is no outage to the person");
  await expectWhole(page, expect, "a rotation");
  cable.close();
}

export async function laptopSleepsForAnHour(browser, { expect }) {
  const cable = await openCable();
  const title = "Acceptance: asleep for an hour";
  const { task, page } = await watchRun(browser, title, cable.url, { hasClock: true });
  const before = cable.opened();
  cable.sleep(true);
  for (;;) {
    const { latest_run: run } = await call(`/tasks/${task.id}/`);
    if (run.status === "completed") break;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  expect(
    (await page.getByText(`line-${LINES}-end`).count()) === 0,
    "nothing arrives while the machine sleeps",
  );
  cable.sleep(false);
  await page.clock.fastForward(HOUR);
  await page.getByRole("button", { name: "Run again" }).waitFor();
  expect(cable.opened() > before, "the stream is opened again after the sleep");
  await expectWhole(page, expect, "a sleep of an hour");
  cable.close();
}

/** Two tabs of one browser on one run: an answer in one is seen in the other, and messages are not said twice. */
export async function twoTabsSayThingsOnce(browser, { expect }) {
  const { id } = await newRun("Acceptance: two tabs", [
    ["ask", "Both tabs?"],
    ["say", "Thank you."],
  ]);
  const first = await openPage(browser);
  const second = await first.context().newPage();
  const said = [];
  for (const page of [first, second]) {
    await page.exposeFunction("onSaid", (text) => said.push(text));
    await page.goto(`${base}/projects/1/tasks/${id}`);
    await page.getByRole("heading", { name: "Both tabs?" }).waitFor();
    await page.evaluate(() => {
      const messages = document.querySelector('[aria-live="polite"]');
      new MutationObserver((changes) => {
        for (const { addedNodes } of changes)
          for (const node of addedNodes) globalThis.onSaid(node.textContent);
      }).observe(messages, { childList: true });
    });
  }
  // Both at once: one answer counts, and only the tab that came late has something to say.
  await Promise.all([first.keyboard.press("a"), second.keyboard.press("a")]);
  for (const page of [first, second]) {
    const answers = page.getByRole("log").getByText("Answered: yes");
    await answers.first().waitFor();
    await page.getByRole("heading", { name: "Both tabs?" }).waitFor({ state: "detached" });
    expect((await answers.count()) === 1, "each tab shows the answer once, and no card");
  }
  expect(said.length <= 1, `nothing is said in both tabs ${JSON.stringify(said)}`);
  await first.context().close();
}
