// Files that are attached reach the agent, or the page says that they do not.
import { call, endLater, newRun } from "./api.mjs";
import { base } from "./browser.mjs";

const FIELD = "Message to the agent";
const CAT = "```sh\ncat .taskbeacon/attachments/*/*\n```";
const GONE = "No longer attached.";
const NOTES = file("notes.txt", "Words of the notes.");
const BLANK = file("blank.txt", "");

function file(name, words) {
  return { name, mimeType: "text/plain", buffer: Buffer.from(words) };
}

const attach = (page, ...files) => page.locator('input[type="file"]').setInputFiles(files);
const chips = (page) => page.getByRole("list", { name: "Files", exact: true }).getByRole("listitem");
const chip = (page, name) => chips(page).filter({ hasText: name });
/** A button that can be pressed, or not. */
const button = (page, name, can) =>
  page.getByRole("button", { name, exact: true }).and(page.locator(`[aria-disabled="${!can}"]`));
const taskOf = (page) => new URL(page.url()).pathname.split("/").at(-1);

async function attachmentsOf(id) {
  const { latest_run: run } = await call(`/tasks/${id}/`);
  return run.artifacts.filter(({ type }) => type === "user_attachment").map(({ name }) => name);
}

export async function draftKeepsItsFiles(browser, { expect, watched, checkAccess }) {
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/?new=1`);
  await page.getByLabel("What shall the agent do?").fill(CAT);
  await attach(page, NOTES);
  await page.getByRole("button", { name: "Save as draft" }).click();
  await page.getByRole("heading", { name: "No run yet" }).waitFor();
  await page.reload();
  await page.getByRole("button", { name: "Start a run" }).click();
  await chip(page, "notes.txt").waitFor();
  expect((await page.getByText(GONE).count()) === 0, "a draft keeps its files");
  await checkAccess(page, "a draft with a file");
  await attach(page, file("more.txt", "More words."));
  await button(page, "Save and run", true).click();
  const id = taskOf(page);
  endLater(id);
  await page.getByPlaceholder("Your turn: what next?").waitFor();
  const given = await attachmentsOf(id);
  expect(String(given) === "notes.txt,more.txt", `its run gets them, and what was added to it (${given})`);
  await page.goto(`${base}/projects/1/?new=1`);
  await page.getByLabel("What shall the agent do?").waitFor();
  expect((await chips(page).count()) === 0, "the next new task begins without files");
  await page.context().close();
}

export async function newTaskKeepsItsFiles(browser, { expect, watched, checkAccess }) {
  const page = await watched(browser);
  const dialog = page.getByRole("dialog", { name: "New task" });
  await page.goto(`${base}/projects/1/?new=1`);
  await page.getByLabel("What shall the agent do?").fill(CAT);
  await attach(page, NOTES);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await page.getByRole("main").getByRole("button", { name: "New task" }).click();
  await button(page, "Start", true).waitFor();
  expect((await chip(page, "notes.txt").count()) === 1, "Escape does not lose a file");
  await page.reload();
  await chip(page, "notes.txt").getByText(GONE).waitFor();
  await button(page, "Start", false).waitFor();
  await button(page, "Save as draft", false).waitFor();
  expect(true, "after a reload the page says that it must be attached again, and starts nothing without it");
  await checkAccess(page, "a new task whose file is gone");
  await attach(page, NOTES, BLANK);
  await page.getByText("Nothing is sent before you remove blank.txt").waitFor();
  await button(page, "Start", false).waitFor();
  await page.getByRole("button", { name: "Remove blank.txt" }).click();
  await button(page, "Start", true).click();
  await page.getByPlaceholder("Your turn: what next?").waitFor();
  endLater(taskOf(page));
  const given = await attachmentsOf(taskOf(page));
  expect(String(given) === "notes.txt", `the run gets the file once (${given})`);
  await page.context().close();
}

export async function messageKeepsItsFiles(browser, { expect, watched, checkAccess }) {
  const { id, latest_run: run } = await newRun("Acceptance: files of a message", [["say", "Hello."]]);
  const page = await watched(browser, { size: "phone", theme: "dark" });
  await page.goto(`${base}/projects/1/tasks/${id}`);
  await page.getByPlaceholder("Your turn: what next?").waitFor();
  await attach(page, NOTES, BLANK);
  await page.getByLabel(FIELD).fill(CAT);
  await page.getByText("Nothing is sent before you remove blank.txt").waitFor();
  await button(page, "Send", false).waitFor();
  expect(true, "a message does not go without a file that was refused, and the page says why");
  await checkAccess(page, "a message that waits");
  await page.getByRole("button", { name: "Remove blank.txt" }).click();
  await button(page, "Send", true).waitFor();
  await page.getByRole("link", { name: "Back to the tasks" }).click();
  await page.getByRole("heading", { name: "Tasks", exact: true }).waitFor();
  await page.goBack();
  await button(page, "Send", true).waitFor();
  expect((await chip(page, "notes.txt").count()) === 1, "who leaves the page finds the file again");
  await page.reload();
  await button(page, "Send", true).click();
  await page.getByRole("log").getByText("Read by the agent").waitFor();
  const given = await attachmentsOf(id);
  expect(String(given) === "notes.txt", `after a reload too, and it was uploaded once (${given})`);

  await attach(page, NOTES);
  await page.getByLabel(FIELD).fill("For the next run.");
  await button(page, "Send", true).waitFor();
  await call(`/tasks/${id}/runs/${run.id}/`, { status: "cancelled" }, "PATCH");
  await page.getByPlaceholder(/^Continue from Run/).waitFor();
  await button(page, "Start a run that continues from Run 1", true).click();
  await page.getByText("This run continues from").waitFor();
  const later = await attachmentsOf(id);
  expect(later.at(-1) === "notes.txt", `a run that continues gets the file of its message (${later})`);
  await page.context().close();
}

export async function filesOfALateMessageAreAskedFor(browser, { expect, watched }) {
  const { id, latest_run: run } = await newRun("Acceptance: files that came too late", [["sh", "sleep 600"]]);
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/tasks/${id}`);
  await page.getByLabel("When the agent gets the message").selectOption("After this turn");
  await attach(page, NOTES);
  await page.getByLabel(FIELD).fill("Look at this.");
  await button(page, "Send", true).click();
  await page.getByText("Queued for the agent").waitFor();
  await page.getByRole("button", { name: "Edit", exact: true }).click();
  await button(page, "Send", true).click();
  await page.getByText("Queued for the agent").waitFor();
  expect(true, "a kept message with a file can be edited");
  await call(`/tasks/${id}/runs/${run.id}/`, { status: "cancelled" }, "PATCH");
  await page.getByText("Never given to the agent").waitFor();
  await page.getByRole("button", { name: "Edit", exact: true }).click();
  await chip(page, "notes.txt").getByText(GONE).waitFor();
  await button(page, "Start a run that continues from Run 1", false).waitFor();
  expect(true, "for another run its file must be attached again");
  await page.context().close();
}

export async function runAgainTakesTheDraftAlong(browser, { expect, watched }) {
  const { id, latest_run: run } = await newRun("Acceptance: a draft for the next run", [["say", "Hello."]]);
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/tasks/${id}`);
  await page.getByPlaceholder("Your turn: what next?").waitFor();
  await page.getByLabel(FIELD).fill(CAT);
  await attach(page, NOTES);
  await button(page, "Send", true).waitFor();
  await call(`/tasks/${id}/runs/${run.id}/`, { status: "cancelled" }, "PATCH");
  await button(page, "Start a run that continues from Run 1", true).waitFor();
  await page.getByRole("button", { name: "Start over" }).press("Enter");
  const dialog = page.getByRole("dialog", { name: "Start over?" });
  await dialog.getByRole("button", { name: "Start over", exact: true }).press("Enter");
  await page.getByPlaceholder("Your turn: what next?").waitFor();
  expect(
    (await page.getByLabel(FIELD).inputValue()) === CAT,
    "a text goes along to the run that was started",
  );
  await button(page, "Send", true).click();
  await page.getByRole("log").getByText("Read by the agent").waitFor();
  const given = await attachmentsOf(id);
  expect(given.at(-1) === "notes.txt", `and so does its file (${given})`);
  await page.context().close();
}
