// A run is followed and steered by keyboard alone, up to comments on its changes.
import { newRun } from "./api.mjs";
import { base, cardOf } from "./browser.mjs";
import { openRun, text, toolCall, update } from "./outside.mjs";

export async function questionIsAnsweredByKeyboard(browser, { expect, watched }) {
  const { id } = await newRun("Acceptance: a question", [
    ["ask", "Go on?"],
    ["file path=a.txt", "one\ntwo"],
    ["say", "I went on."],
  ]);
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/tasks/${id}`);
  await cardOf(page, "Go on?").waitFor();
  const hint = page.locator("section kbd").first();
  await hint.waitFor();
  const hints = await page.locator("section kbd").allInnerTexts();
  expect(String(hints) === "1,2", `the keys of answers are their numbers (${hints})`);
  const desk = page.viewportSize();
  await page.setViewportSize({ width: 390, height: 844 });
  await hint.waitFor({ state: "hidden" });
  await page.setViewportSize(desk);
  expect(true, "buttons name their keys, but not in the layout of a phone");
  await page.keyboard.press("a");
  await page.getByText(/^Answered by .+ in the console: yes$/).waitFor();
  expect(true, "a question is answered by one key, and says by whom and from where");
  await page.getByPlaceholder("Your turn: what next?").waitFor();
  await page.keyboard.press("i");
  await page.locator("textarea:focus").waitFor();
  await page.keyboard.type("```say");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("I heard you.");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("```");
  await page.keyboard.press("Enter");
  await page.getByRole("log").getByText("Read by the agent").waitFor();
  expect(
    (await page.getByRole("log").locator("pre", { hasText: "I heard you." }).count()) === 1,
    "a message is shown once, with its receipt",
  );
  // While the work is stored, a second click must not cancel the run.
  await page.getByRole("button", { name: "Finish", exact: true }).dblclick();
  await page.getByRole("button", { name: "Start over" }).waitFor();
  await page.locator("main header").getByText("Completed").waitFor();
  expect(true, "a run whose turn is over is finished by the button of its header, and completed");
  await page.getByRole("button", { name: "Comment on line 1" }).click();
  await page
    .getByRole("textbox", { name: /^Comment on/ })
    .and(page.locator(":focus"))
    .waitFor();
  await page.keyboard.type("Say three");
  await page.reload();
  const comment = page.getByRole("textbox", { name: /^Comment on/ });
  await comment.and(page.locator(":focus")).waitFor();
  expect(
    (await comment.inputValue()) === "Say three",
    "a reload does not lose a comment that is being written",
  );
  await page.getByRole("button", { name: "Comment on line 2" }).click();
  await page.getByRole("textbox", { name: "Comment on lines 1 to 2" }).waitFor();
  expect((await comment.inputValue()) === "Say three", "nor does the choice of more lines");
  await comment.press("End");
  await page.keyboard.type(" instead.");
  await page.keyboard.press("Control+Enter");
  await page.getByRole("button", { name: "Send back: new run" }).click();
  await page.getByText("This run continues from").waitFor();
  await page.getByRole("log").getByText("Say three instead.").first().waitFor();
  expect(true, "comments reach the agent in a run that continues");
  expect(page.problems.length === 0, `no problems ${page.problems.join("; ")}`);
  await page.context().close();
}

/** A message that is whole is as high as it was while it grew: else all of the transcript would jump at its end. */
export async function endOfAMessageMovesNothing(browser, { expect, watched }) {
  const run = await openRun("Acceptance: words that come");
  const page = await watched(browser);
  await page.goto(`${base}/projects/1${run.path}`);
  const log = page.getByRole("log");
  for (const [index, words] of ["Words.", "Words:\n\n- one\n- two", "```\ncode\n```"].entries()) {
    const messageId = `m${index}`;
    const message = (sessionUpdate) => run.send([update({ sessionUpdate, messageId, content: text(words) })]);
    await message("agent_message_chunk");
    await log.getByText(/\w+\.?(?=\W*$)/.exec(words)[0], { exact: true }).waitFor();
    const height = () => log.evaluate((element) => element.firstElementChild.getBoundingClientRect().height);
    const before = await height();
    await message("agent_message");
    // Only what is whole can be copied.
    await log.getByRole("button", { name: `Copy: ${words.replace(/\s+/g, " ")}`, exact: true }).waitFor();
    const after = await height();
    expect(after === before, `the end of a message moves nothing (${before} and ${after} px)`);
  }
  await run.end();
  await page.context().close();
}

/** Wait until the height of an element has stayed the same for 20 frames: what is new is measured within a few. */
async function isStill(element) {
  for (let [frames, height] = [0, 0]; frames < 20; frames += 1) {
    await new Promise(requestAnimationFrame);
    if (element.scrollHeight !== height) [frames, height] = [0, element.scrollHeight];
  }
}

/** Rows that turn out smaller than they were estimated must not look like a reader who goes up. */
export async function finishedRunOpensAtItsEnd(browser, { expect, watched }) {
  const run = await openRun("Acceptance: many small rows");
  const code = `\`\`\`py\n${"def f(lines):\n    return lines\n".repeat(40)}\`\`\``;
  const rows = Array.from({ length: 60 }, (_, index) => [
    update({ sessionUpdate: "agent_message", messageId: `m${index}`, content: text("Step.") }),
    toolCall(`make ${index}`, "completed"),
  ]);
  const last = update({ sessionUpdate: "agent_message", messageId: "last", content: text(code) });
  await run.send([...rows.flat(), last]);
  await run.end();
  const page = await watched(browser);
  const left = () =>
    page
      .getByRole("log")
      .evaluate(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight);
  const found = [];
  await page.goto(`${base}/projects/1${run.path}`);
  for (let round = 0; round < 6; round += 1) {
    await page.reload();
    await page.getByRole("log").getByText("make 59").waitFor();
    await page.getByRole("log").locator('[style*="--code-keyword"]').first().waitFor();
    await page.getByRole("log").evaluate(isStill);
    found.push(Math.round(await left()));
  }
  expect(
    found.every((pixels) => pixels <= 1),
    `a finished run opens at its end (${found} px left)`,
  );
  await page.getByRole("log").hover();
  await page.mouse.wheel(0, -600);
  await page.getByRole("button", { name: "Jump to the latest" }).waitFor();
  expect((await left()) > 100, "and lets a reader go up");
  await page.context().close();
}
