// A run is seen whole whatever happens to the stream.
import { newRun } from "./api.mjs";
import { base, cardOf, openPage, until } from "./browser.mjs";
import { openCable } from "./cable.mjs";
import { openRun, toolCall, toolEnds, toolPrints } from "./outside.mjs";
import { startApi } from "./service.mjs";
import { isWhole, linesOf, outputOf } from "./transcript.mjs";

const TOOL = "a tool that prints";
const PAUSE = 200;
const HOUR = 3_600_000;
const OUTAGE = 10_000;
const ROTATIONS = 3;
const LINES = 20;

/** Open a run at an address of the service. Return its page, once that shows what has been printed, and the run. */
async function watchRun(browser, title, url, { hasClock = false } = {}) {
  const { path, send, end } = await openRun(title);
  let lines = 0;
  const print = () => send([toolPrints(TOOL, `line-${++lines}-end\n`)]);
  await send([toolCall(TOOL, "in_progress")]);
  await print();
  const page = await openPage(browser);
  if (hasClock) await page.clock.install();
  await page.goto(`${url}/projects/1${path}`);
  await page.getByText(`line-${lines}-end`).waitFor();
  return {
    page,
    print,
    /** Print on until the returned function is called. */
    printOn() {
      let isOn = true;
      const printing = (async () => {
        while (isOn) {
          await print();
          await new Promise((resolve) => setTimeout(resolve, PAUSE));
        }
      })();
      return () => {
        isOn = false;
        return printing;
      };
    },
    async end() {
      await send([toolEnds(TOOL)]);
      await end();
    },
    /** Wait for the end of the run; every line must be there, once and in order. */
    async expectWhole(expect, what) {
      await page.getByRole("button", { name: "Start over" }).waitFor();
      const seen = linesOf(await outputOf(page, TOOL, `line-${lines}-end`));
      expect(isWhole(seen, lines), `${what} loses and doubles nothing (${seen.length} of ${lines} lines)`);
      expect((await page.getByText("events are missing here").count()) === 0, `${what} leaves no gap`);
      await page.context().close();
    },
  };
}

export async function streamSurvivesAnOutage(browser, { expect }) {
  const api = await startApi();
  try {
    const run = await watchRun(browser, "Acceptance: an outage", api.url);
    const stop = run.printOn();
    api.kill();
    // The bar is an outage of ten seconds.
    const isLongEnough = new Promise((resolve) => setTimeout(resolve, OUTAGE));
    await run.page.getByText("Not connected.").waitFor();
    await isLongEnough;
    await api.revive();
    await run.page.getByText("Not connected.").waitFor({ state: "detached" });
    await stop();
    await run.end();
    await run.expectWhole(expect, "an API that was dead for ten seconds");
  } finally {
    api.stop();
  }
}

export async function streamIsRotated(browser, { expect }) {
  const cable = await openCable();
  try {
    const run = await watchRun(browser, "Acceptance: rotation", cable.url);
    const failures = [];
    await run.page.exposeFunction("onOffline", (text) => failures.push(text));
    await run.page.evaluate(() => {
      new MutationObserver(() => {
        // biome-ignore lint/performance/useDomNodeTextContent: only what is visible counts
        if (document.body.innerText.includes("Not connected.")) globalThis.onOffline("offline");
      }).observe(document.body, { childList: true, subtree: true });
    });
    const before = cable.opened();
    for (let round = 0; round < ROTATIONS; round += 1) {
      const reopened = cable.rotate();
      for (let line = 0; line < LINES; line += 1) await run.print();
      await reopened;
    }
    const opened = cable.opened() - before;
    expect(opened === ROTATIONS, `each rotation opens one stream (${opened} for ${ROTATIONS})`);
    expect(failures.length === 0, "a rotation is no outage to the person");
    await run.end();
    await run.expectWhole(expect, "a rotation");
  } finally {
    cable.close();
  }
}

export async function laptopSleepsForAnHour(browser, { expect }) {
  const cable = await openCable();
  try {
    const title = "Acceptance: asleep for an hour";
    const run = await watchRun(browser, title, cable.url, { hasClock: true });
    const before = cable.opened();
    cable.sleep(true);
    for (let line = 0; line < LINES; line += 1) await run.print();
    await run.end();
    expect(
      linesOf(await outputOf(run.page, TOOL, "line-1-end")).length === 1,
      "nothing arrives while the machine sleeps",
    );
    cable.sleep(false);
    await run.page.clock.fastForward(HOUR);
    await until("another stream", () => cable.opened() > before);
    expect(true, "the stream is opened again after the sleep");
    await run.expectWhole(expect, "a sleep of an hour");
  } finally {
    cable.close();
  }
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
    await cardOf(page, "Both tabs?").waitFor();
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
    const answers = page.getByRole("log").getByText(/^Answered by .+ in the console: yes$/);
    await answers.first().waitFor();
    await page.getByRole("heading", { name: "Both tabs?" }).waitFor({ state: "detached" });
    expect((await answers.count()) === 1, "each tab shows the answer once, and no card");
  }
  expect(said.length <= 1, `nothing is said in both tabs ${JSON.stringify(said)}`);
  await first.context().close();
}
