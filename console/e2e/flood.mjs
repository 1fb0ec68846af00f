// A run that floods: 500 events a second, then lines without an end.
import { base, launch, openPage } from "./browser.mjs";
import { openRun, text, toolCall, toolEnds, toolPrints, update } from "./outside.mjs";
import { tasksOf } from "./tasks.mjs";
import { isWhole, linesOf, outputOf } from "./transcript.mjs";

// More than the stream of a run keeps, which is 2,000.
const EVENTS = 3000;
const PER_BATCH = 50;
const BATCH_MS = 100;
const LONG_LINE = 1_000_000;
const PIECES = 200;
const ROUNDS = 40;
// What a person notices as a pause.
const LONGEST_MS = 200;
const LAST = "after the flood";

async function flood(run) {
  await run.send([toolCall("flood", "in_progress")]);
  for (let from = 0; from < EVENTS; from += PER_BATCH) {
    const began = performance.now();
    const numbers = Array.from({ length: PER_BATCH }, (_, index) => from + index + 1);
    await run.send(numbers.map((number) => toolPrints("flood", `line-${number}-end\n`)));
    const left = BATCH_MS - (performance.now() - began);
    if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
  }
  await run.send([toolEnds("flood"), toolCall("long", "in_progress")]);
  for (let index = 0; index < 3; index += 1) await run.send([toolPrints("long", "x".repeat(LONG_LINE))]);
  const piece = (code) =>
    update({ sessionUpdate: "agent_message_chunk", messageId: "m", content: text(code) });
  await run.send([piece("```\n")]);
  const pieces = Array.from({ length: PIECES / ROUNDS }, () => piece(`${"code ".repeat(40)}\n`));
  for (let round = 0; round < ROUNDS; round += 1) await run.send(pieces);
  await run.send([toolEnds("long"), toolCall(LAST, "completed")]);
}

export async function floodIsShownWhole(_browser, { expect }) {
  const browser = await launch();
  try {
    const run = await openRun("Acceptance: a flood");
    const page = await openPage(browser);
    await page.goto(`${base}/projects/1${run.path}`);
    await page.getByRole("log").waitFor();
    const [longest = 0, ...rest] = await tasksOf(browser, page, async () => {
      await flood(run);
      await page.getByRole("log").getByRole("button", { name: LAST }).waitFor();
    });
    expect(
      longest < LONGEST_MS,
      `a flood does not stop the page: the longest task took ${longest.toFixed(0)} ms, ${rest.filter((one) => one > 50).length} others over 50 ms`,
    );
    await run.end();
    await page.getByRole("button", { name: "Start over" }).waitFor();
    const seen = linesOf(await outputOf(page, "flood", `line-${EVENTS}-end`));
    expect(isWhole(seen, EVENTS), `it loses and doubles nothing (${seen.length} of ${EVENTS} lines)`);
    expect((await page.getByText("events are missing here").count()) === 0, "it leaves no gap");
  } finally {
    await browser.close();
  }
}
