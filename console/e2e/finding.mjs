// Text is found in rows that are not drawn, and commands by their names.
import { call, newRun, newTask } from "./api.mjs";
import { base, until } from "./browser.mjs";
import { newFile, openRun, runWithPatch, text, toolCall, toolEnds, toolPrints, update } from "./outside.mjs";

const EVENTS = 10_000;
const PER_BATCH = 1000;

export async function farRowsAreFound(browser, { expect, watched, checkAccess }) {
  const run = await openRun("Acceptance: a long run to search");
  const say = (number) =>
    update({
      sessionUpdate: "agent_message",
      messageId: `m${number}`,
      content: text(number === 40 ? "The needle." : `Message ${number}.`),
    });
  const tool = (number) => [
    toolCall(`t${number}`, "in_progress"),
    toolPrints(`t${number}`, number === 90 ? "haystack-output\n" : "x\n"),
    toolEnds(`t${number}`),
  ];
  const events = Array.from({ length: EVENTS / 4 }, (_, number) => [say(number), ...tool(number)]).flat();
  for (let from = 0; from < events.length; from += PER_BATCH)
    await run.send(events.slice(from, from + PER_BATCH));
  await run.end();
  const page = await watched(browser);
  const field = page.getByRole("textbox", { name: "Find in the transcript" });
  const log = page.getByRole("log");
  await page.goto(`${base}/projects/1${run.path}`);
  await log.getByText(`Message ${EVENTS / 4 - 1}.`).waitFor();
  expect((await log.getByText("The needle.").count()) === 0, "a row far up is not drawn");
  const before = await log.boundingBox();
  await page.keyboard.press("Control+f");
  await field.fill("NEEDLE");
  await log.getByText("The needle.").waitFor();
  await page.getByText("1 of 1 rows").waitFor();
  const marks = () => page.evaluate(() => [...(CSS.highlights.get("found") ?? [])].map(String));
  await until("the mark", async () => (await marks()).join() === "needle");
  expect(true, "it is found, shown and marked");
  const after = await log.boundingBox();
  expect(JSON.stringify(after) === JSON.stringify(before), "the field of the search moves nothing");
  await checkAccess(page, "a text that was found");
  await field.fill("haystack-output");
  await log.getByText("haystack-output").waitFor();
  expect(true, "and so is what a tool has printed, which is folded");
  await field.fill("message 1");
  await page.getByText(/^(\d+) of \1 rows$/).waitFor();
  await page.keyboard.press("Enter");
  await page
    .getByText(/^110 of 111[01] rows$|^\d+ of \d+ rows$/)
    .first()
    .waitFor();
  await page.keyboard.press("Escape");
  await field.waitFor({ state: "detached" });
  await until("no mark", async () => (await marks()).length === 0);
  expect(true, "Escape ends the search");
  await page.context().close();
}

export async function changedLinesAreFound(browser, { expect, watched, checkAccess }) {
  const names = Array.from({ length: 40 }, (_, at) => `src/part${at + 10}.py`);
  const patches = names.map((name, at) => newFile(name, at % 20 === 19 ? 120 : 90));
  const run = await runWithPatch("Acceptance: changes to search", patches.join(""));
  const page = await watched(browser);
  await page.goto(`${base}/projects/1${run.path}?pane=changes`);
  const pane = page.getByRole("complementary", { name: "Changes" });
  await pane.getByText("1 of 40 files").waitFor();
  await page.keyboard.press("s");
  await checkAccess(page, "the search of changes");
  await page.keyboard.type("VALUE_100 ");
  await pane.getByText("1 of 2 lines").waitFor();
  await page.keyboard.press("Enter");
  await pane.getByText("2 of 2 lines").waitFor();
  const line = pane.getByRole("region", { name: names[39] }).locator("[data-row]", { hasText: "value_100 " });
  await until("the line in sight", async () => {
    const { y = 0, height = 0 } = (await line.boundingBox()) ?? {};
    return y > 0 && y + height < page.viewportSize().height;
  });
  await page.keyboard.press("Escape");
  await page.keyboard.press("t");
  await page.keyboard.type("part11");
  const lines = pane.getByRole("navigation", { name: "Changed files" }).getByRole("button");
  await until("one file", async () => (await lines.count()) === 1);
  await page.keyboard.press("Enter");
  await pane.getByText("2 of 40 files").waitFor();
  expect(true, "changed lines and names of files are found by keys, also where they are not drawn");
  await page.context().close();
}

export async function commandsAreInThePalette(browser, { expect, watched, checkAccess }) {
  const { id } = await newTask("Acceptance: by command", [["say", "Hi."]]);
  const page = await watched(browser);
  const field = page.getByRole("combobox", { name: "Task, page or command" });
  const order = async (command) => {
    await page.keyboard.press("Control+k");
    await field.fill(command);
    await page
      .getByRole("option", { selected: true })
      .filter({ hasText: new RegExp(command, "i") })
      .waitFor();
    await page.keyboard.press("Enter");
    await field.waitFor({ state: "detached" });
  };
  await page.goto(`${base}/projects/1/tasks/${id}`);
  await page.getByRole("heading", { name: "No run yet" }).waitFor();
  await page.keyboard.press("Control+k");
  const options = page.getByRole("listbox", { name: "Tasks and commands" }).getByRole("option");
  await options.filter({ hasText: "Go to the tasks" }).waitFor();
  await options.filter({ hasText: "Acceptance: by command" }).first().waitFor();
  expect(true, "tasks and commands are there before anything is typed");
  await field.fill("go");
  await options
    .first()
    .filter({ hasText: /^Go to/ })
    .waitFor();
  expect(true, "what begins with what is typed comes first");
  await field.fill("by comm");
  await options.first().filter({ hasText: "Acceptance: by command" }).waitFor();
  expect(true, "a task whose words do as well");
  await field.fill("theme");
  await checkAccess(page, "the palette");
  // The browser says later that a dialog has closed: here not before the next key.
  await page.evaluate(() => {
    const dialog = document.querySelector("dialog");
    globalThis.heldClose = new Promise((resolve) => {
      const hold = (event) => {
        event.stopImmediatePropagation();
        resolve(dialog);
      };
      dialog.addEventListener("close", hold, { capture: true, once: true });
    });
  });
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+k");
  await page.evaluate(async () => {
    (await globalThis.heldClose).dispatchEvent(new Event("close"));
  });
  expect(await field.isVisible(), "a key that comes while the palette closes opens it again");
  await page.keyboard.press("Escape");
  await field.waitFor({ state: "detached" });
  await order("theme: dark");
  expect((await page.locator("html").getAttribute("data-theme")) === "dark", "a theme is chosen by its name");
  await order("archive the task");
  await page.getByText("Archived.").waitFor();
  expect(true, "a task is archived");
  await order("go to the tasks");
  await page.getByRole("heading", { level: 1, name: "Tasks" }).waitFor();
  const row = page.locator("main [data-task]").first();
  await row.waitFor();
  const { height } = await row.boundingBox();
  expect(height <= 36, `rows are small (${height})`);
  await order("new task");
  await page.getByRole("dialog", { name: "New task" }).waitFor();
  expect(true, "and a new one is begun");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog", { name: "New task" }).waitFor({ state: "detached" });
  await page.keyboard.press("?");
  await page
    .getByRole("dialog", { name: "Keyboard shortcuts" })
    .getByText("Archive the selected tasks")
    .waitFor();
  expect(true, "the list of keys says what the page can do");
  await page.context().close();
}

export async function findShowsTheTranscript(browser, { expect, watched }) {
  const { id } = await newRun("Acceptance: find beside changes", [["say", "The needle."]]);
  const page = await watched(browser);
  const log = page.getByRole("log");
  const field = page.getByRole("textbox", { name: "Find in the transcript" });
  await page.goto(`${base}/projects/1/tasks/${id}`);
  await log.getByRole("paragraph").filter({ hasText: "The needle." }).waitFor();
  await page.keyboard.press("p");
  await page.keyboard.press("1");
  await page.getByRole("heading", { name: /^No changes/ }).waitFor();
  await page.keyboard.press("f");
  await log.waitFor({ state: "hidden" });
  await page.keyboard.press("/");
  await page.keyboard.type("needle");
  await page.getByText("2 of 2 rows").waitFor();
  const marks = () => page.evaluate(() => CSS.highlights.get("found")?.size);
  await until("the marks", async () => (await marks()) > 1);
  expect((await marks()) === 2, "what is marked is what is counted, with what the run was asked");
  expect((await field.inputValue()) === "needle", "/ shows the transcript, and the field has all letters");
  expect(!(await call(`/tasks/${id}/`)).archived, "which are no commands");
  await log.click({ position: { x: 5, y: 5 } });
  await page.keyboard.press("/");
  await page.keyboard.type("The ");
  expect((await field.inputValue()).includes("The "), "once more it leads back to the field");
  await page.context().close();
}
