// The changes of a run: as they happen, reviewed on two devices, and many of them.
import { call, newRun, start } from "./api.mjs";
import { base, until } from "./browser.mjs";
import { newFile, runWithPatch } from "./outside.mjs";
import { newMember } from "./people.mjs";

const EDITS =
  "for n in $(seq 10 39); do echo made > made-$n.txt; done\nsed -i 's/note 100 /note one hundred /' notes.txt";
const MORE = "```file path=later.txt\nmore\n```\n\n```sh\nrm made-10.txt made-11.txt\n```";

/** Whether a text is not cut. */
const fits = (text) => text.evaluate((one) => one.scrollWidth <= one.clientWidth);

/** Whether there is nothing below the page to scroll to. */
const isWithin = (page) => page.evaluate(() => document.scrollingElement.scrollHeight <= innerHeight);

export async function changesAreReviewedWhileTheAgentWaits(browser, { expect, watched, checkAccess }) {
  const task = await call("/tasks/", {
    title: "Acceptance: changes as they happen",
    description: `\`\`\`sh\n${EDITS}\n\`\`\``,
    repository: "acme/notes",
    // Of others who may see it, too.
    origin_product: "onboarding",
  });
  const { latest_run: run } = await start(task, { mode: "interactive" });
  // Two commands, which take a while.
  const key = newMember("Ana");
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/tasks/${task.id}`);
  const pane = page.getByRole("complementary", { name: "Changes" });
  await pane.getByText("1 of 31 files").waitFor();
  await pane.getByText("Live").waitFor();
  expect(true, "what commands have changed is there while the agent waits, in a pane that opens by itself");
  await pane
    .getByRole("navigation", { name: "Changed files" })
    .getByRole("button", { name: /^notes/ })
    .click();
  const notes = pane.getByRole("region", { name: "notes.txt" });
  await notes.locator("mark", { hasText: "hundred" }).waitFor();
  expect(
    await notes.getByRole("button", { name: "Copy the path notes.txt" }).isVisible(),
    "the path of a file can be copied",
  );
  expect((await notes.locator("mark").allInnerTexts()).join() === "100,one hundred ", "words are marked");
  expect(await fits(pane.getByText("31 files")), "beside the conversation, the whole total is shown");
  const cut = await pane.getByRole("navigation", { name: "Changed files" }).evaluate((list) => {
    const { bottom } = list.getBoundingClientRect();
    const lines = [...list.querySelectorAll("button")].map((line) => line.getBoundingClientRect());
    return lines.filter((line) => line.top < bottom - 1 && line.bottom > bottom + 1).length;
  });
  expect(cut === 0, "and no line of the list of files is cut");
  expect(await isWithin(page), "a long list of files makes the page no higher than its window");
  expect((await pane.getByRole("button", { name: "Show side by side" }).count()) === 0, "but no two columns");
  await page.keyboard.press("f");
  await pane.getByRole("button", { name: "Show side by side" }).click();
  await notes.locator("td:nth-child(4)", { hasText: "note one hundred" }).waitFor();
  await checkAccess(page, "live changes, side by side");
  await page.keyboard.press("f");
  await notes.locator("td:nth-child(4)").first().waitFor({ state: "detached" });
  expect(true, "two columns become one where there is no room for them");
  const whole = notes.getByRole("button", { name: /^Show all lines/ });
  await notes.getByRole("button", { name: /^Show 20 lines more before/ }).click();
  await notes.getByText("note 77 of this file", { exact: true }).first().waitFor();
  await whole.first().click();
  await notes.getByText("note 1 of this file", { exact: true }).first().waitFor();
  await whole.click();
  await notes.getByText("note 200 of this file", { exact: true }).first().waitFor();
  expect((await whole.count()) === 0, "lines around a change can be opened, up to the whole file");
  await notes.getByRole("button", { name: "Comment on line 140 of" }).click();
  await notes.getByRole("textbox", { name: "Comment on line 140" }).fill("And this?");
  await notes.getByRole("button", { name: "Add the comment" }).click();
  const review = `/tasks/${task.id}/runs/${run.id}/review/`;
  await until("the comment", async () => (await call(review)).comments.length === 1);
  await page.goto(`${base}/projects/1/settings/account`);
  await page.getByLabel("Editor").selectOption("Visual Studio Code");
  await page.getByLabel("Folder of your clones").fill("/src/{repository}");
  await page.goto(`${base}/projects/1/tasks/${task.id}`);
  await notes.getByText("note 140 of this file", { exact: true }).first().waitFor();
  const inEditor = notes.getByRole("link", { name: "Open notes.txt in the editor" });
  const address = await inEditor.getAttribute("href");
  expect(address === "vscode://file/src/acme/notes/notes.txt", `files open in the editor (${address})`);
  await notes.getByRole("button", { name: "Discard the comment: And this?" }).click();
  await until("the end of the comment", async () => (await call(review)).comments.length === 0);
  await page.getByRole("button", { name: "Undo" }).click();
  await notes.getByText("And this?").waitFor();
  expect(
    (await whole.count()) > 0,
    "a comment opens the gap that it stands in, and comes back when discarded",
  );
  expect((await pane.getByText("not in these changes").count()) === 0, "its lines have not changed");
  await page.keyboard.press("f");
  await pane.getByRole("button", { name: "Show the conversation beside it" }).waitFor();

  const phone = await watched(browser, { size: "phone", theme: "dark" });
  await phone.goto(`${base}/projects/1/tasks/${task.id}?pane=changes`);
  const small = phone.getByRole("region", { name: "notes.txt" });
  await phone.getByRole("button", { name: "List the files" }).click();
  await small.waitFor();
  expect(await isWithin(phone), "nor on a phone");
  await phone
    .getByRole("navigation", { name: "Changed files" })
    .getByRole("button", { name: /^notes/ })
    .click();
  await small.getByRole("button", { name: "Comment on removed line 100 of" }).click();
  await small.getByRole("button", { name: "Comment on line 100 of" }).click();
  await small.getByRole("textbox", { name: "Comment on line 100" }).fill("Why in words?");
  await checkAccess(phone, "a comment on a phone");
  await small.getByRole("button", { name: "Add the comment" }).click();
  await notes.getByText("Why in words?").waitFor();
  expect(true, "a comment that was made on a phone is on the desk");
  await pane.getByRole("checkbox", { name: "Viewed: notes.txt" }).click();
  await phone.getByText("1/31 viewed").waitFor();
  expect(true, "a mark that was made on the desk is on the phone");
  await phone.context().close();

  const other = await watched(browser, { key: await key });
  const theirs = other.getByRole("complementary", { name: "Changes" });
  await other.goto(`${base}/projects/1/tasks/${task.id}?pane=changes`);
  await theirs.getByRole("button", { name: "Comment on line 1 of" }).first().click();
  await theirs.getByRole("textbox", { name: "Comment on line 1" }).fill("Of Ana");
  await theirs.getByRole("button", { name: "Add the comment" }).click();
  await theirs.locator("footer").getByText("1 comment", { exact: true }).waitFor();
  expect(await theirs.getByText("0/31 viewed").isVisible(), "another person sees no marks of this one");
  await other.context().close();

  await pane.locator("footer").getByText("2 comments").waitFor();
  await pane.getByRole("button", { name: "Send to the agent" }).click();
  await pane.locator("footer").getByText("2 comments").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Transcript" }).click();
  await page.getByRole("log").getByText("notes.txt, line 100").waitFor();
  await page.getByRole("log").getByText("+note one hundred of").waitFor();
  await page.getByRole("log").getByText("note 140 of this file").waitFor();
  expect((await page.getByText("Of Ana").count()) === 0, "each person has a review of their own");
  expect(true, "comments reach the agent while it waits, and quote their lines");
  await pane
    .getByRole("navigation", { name: "Changed files" })
    .getByRole("button", { name: /^made-10/ })
    .click();
  await pane.getByRole("button", { name: "Comment on line 1 of made-10.txt" }).click();
  await pane.getByRole("textbox", { name: "Comment on line 1" }).fill("Why this file?");
  await pane.getByRole("button", { name: "Add the comment" }).click();
  await pane.locator("footer").getByText("1 comment").waitFor();
  await call(`/tasks/${task.id}/runs/${run.id}/command/`, {
    ...{ jsonrpc: "2.0", id: "more", method: "user_message", params: { content: MORE } },
  });
  await pane.getByText("of 30 files").waitFor();
  expect(true, "the next edit comes to the page by itself");
  await pane.getByRole("button", { name: /^1 comment on lines that are not in these/ }).press("Enter");
  await pane.getByText("made-10.txt, line 1: not in this diff.").waitFor();
  await checkAccess(page, "a comment on a file that has left the diff");
  await pane.getByRole("button", { name: "Discard the comment: Why this file?" }).click();
  await pane.locator("footer").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Undo" }).click();
  await pane.getByRole("button", { name: "Send to the agent" }).click();
  await page.getByRole("log").getByText("made-10.txt: this was line 1 when the comment was made").waitFor();
  expect(true, "a comment on a file that has left the diff is shown, and can be discarded and sent");
  const edited = page.getByRole("log").getByRole("link", { name: "Open later.txt in the editor" });
  expect((await edited.getAttribute("href")).endsWith("/later.txt"), "so do those that a tool has edited");
  await pane.getByRole("combobox", { name: "Changes of" }).selectOption("Against its base now");
  await pane.getByText("added to the base since the run began is shown as removed").waitFor();
  // The branch is looked at now and then: what it was compared with a moment ago may be shown first.
  await pane.getByText("of 30 files").waitFor();
  expect(true, "the work is compared with the branch as it is now");
  await page.getByRole("button", { name: "Finish", exact: true }).click();
  await page.getByRole("log").getByText("30 files").waitFor();
  await pane.getByText("Live").waitFor({ state: "detached" });
  await pane.getByText("30 files").waitFor();
  await checkAccess(page, "a finished run");
  await page.context().close();
}

export async function changesStayWhileTheirWorkerIsSilent(browser, { expect, watched, checkAccess }) {
  const task = await newRun("Acceptance: a silent worker", [["sh", "echo one > stays.txt"]]);
  const { latest_run: run } = await call(`/tasks/${task.id}/`);
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/tasks/${task.id}?pane=changes`);
  const file = page.getByRole("region", { name: "stays.txt" });
  await file.locator("td", { hasText: "one" }).waitFor();
  await page.route(/\/diff\/?\?/, async (route) => {
    const answer = await (await route.fetch()).json();
    await route.fulfill({ json: { ...answer, files: [], tree: null, missing: "no_answer" } });
  });
  await call(`/tasks/${task.id}/runs/${run.id}/command/`, {
    ...{
      jsonrpc: "2.0",
      id: "more",
      method: "user_message",
      params: { content: MORE.replace("rm", "echo") },
    },
  });
  await page.getByText("The worker of the run does not answer.").waitFor();
  expect(await file.isVisible(), "what was shown stays while the worker does not answer");
  await checkAccess(page, "changes of a silent worker");
  await page.unrouteAll({ behavior: "wait" });
  await page.getByRole("region", { name: "later.txt" }).waitFor();
  await page.getByText("The worker of the run does not answer.").waitFor({ state: "detached" });
  expect(true, "and the next answer takes its place");
  await page.context().close();
}

const FILES = 300;

export async function manyChangesStayInReach(browser, { expect, watched, checkAccess }) {
  const names = Array.from({ length: FILES }, (_, index) => `src/part-${100 + index}.py`);
  const content = [
    ...names.map((name) => newFile(name, 16)),
    newFile("data/long.py", 2000),
    newFile("wide.txt", 1).replace("value_0", "\u202Eevil".repeat(20_000)),
  ].join("");
  const run = await runWithPatch("Acceptance: many changes", content);
  const page = await watched(browser);
  await page.goto(`${base}/projects/1${run.path}`);
  await page.getByText(`1 of ${FILES + 2} files`).waitFor();
  await page.getByText("2,000 changed lines, folded").waitFor();
  await page.getByRole("button", { name: "Show them" }).click();
  await page.getByText("value_0 = 0").first().waitFor();
  await checkAccess(page, "many changes");
  for (const key of ["j", "j", "k"]) await page.keyboard.press(key);
  await page.getByText(`2 of ${FILES + 2} files`).waitFor();
  const list = page.getByRole("navigation", { name: "Changed files" });
  await list.evaluate((one) => one.scrollTo(0, one.scrollHeight));
  await list.getByRole("button", { name: /^wide\.txt/ }).click();
  await page.getByText("⟨202E⟩evil").waitFor();
  await page.getByRole("button", { name: /^Show all \(100,\d{3} characters\)$/ }).waitFor();
  expect(await list.isVisible(), "the list of files stays in reach");
  const drawn = await page.evaluate(() => document.querySelectorAll("[data-scrolls] td").length);
  expect(drawn < 1500, `only what is near is drawn (${drawn} cells)`);
  const last = `${FILES + 2} of ${FILES + 2} files`;
  await until("the last file", async () => (await page.getByText(last).count()) === 1);
  await page.context().close();
}

export async function changesAreReviewedByKeysAlone(browser, { expect, watched }) {
  const files = ["a.txt", "b.txt", "c.txt"];
  const run = await runWithPatch(
    "Acceptance: a review by keys",
    files.map((name) => newFile(name, 2)).join(""),
  );
  const page = await watched(browser);
  const review = () => call(`${run.path}/review/`);
  await page.goto(`${base}/projects/1${run.path}?pane=changes`);
  await page.getByText("1 of 3 files").waitFor();
  const tabTo = async (name) => {
    const here = () =>
      page.evaluate(() => document.activeElement.ariaLabel ?? document.activeElement.textContent);
    for (let count = 0; !(await here()).startsWith(name); count += 1) {
      if (count > 30) throw new Error(`Tab does not reach ${name}`);
      await page.keyboard.press("Tab");
    }
  };
  await page.keyboard.press("j");
  await tabTo("Comment on line 2");
  await page.keyboard.press("Enter");
  await page.keyboard.type("By keys");
  await page.keyboard.press("Control+Enter");
  await until("the comment", async () => (await review()).comments[0]?.path === "b.txt");
  const focused = () => page.evaluate(() => document.activeElement.ariaLabel);
  expect((await focused()) === "Edit the comment: By keys", "a comment that is saved has the focus");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Control+End");
  await page.keyboard.type(", at last");
  await page.keyboard.press("Control+Enter");
  for (const key of ["k", "j"]) await page.keyboard.press(key);
  await page.getByText("2 of 3 files").waitFor();
  await page.keyboard.press("v");
  await until("the mark", async () => (await review()).viewed[0]?.path === "b.txt");
  expect(true, "a line is commented on by keys alone, and the file marked as viewed");
  const file = page.getByRole("region", { name: "b.txt" });
  await file.locator("header").getByText("1 comment").waitFor();
  await page.keyboard.press("n");
  await page.keyboard.press("Enter");
  await file.getByText("By keys, at last").waitFor();
  await page.keyboard.press("n");
  await tabTo("Discard the comment");
  await page.keyboard.press("Enter");
  await until("the end of the comment", async () => (await review()).comments.length === 0);
  expect(true, "a comment in a folded file is found by its key, and taken back");
  await page.context().close();
}
