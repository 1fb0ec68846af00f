// Where the focus is after a change: people who listen must hear where they are, and keys must mean what they meant.
import { call, newRequest } from "./api.mjs";
import { base, cardOf } from "./browser.mjs";
import { openRun } from "./outside.mjs";

/** Wait until the focus is on what the selector finds with that text. */
const focused = (page, selector, text) =>
  page.waitForFunction(
    ([wanted, words]) => {
      const element = document.activeElement;
      return element.matches(wanted) && element.textContent.includes(words);
    },
    [selector, text],
  );

/** Press one key after the other without a pause, which would make them two. */
const pressPair = (page, ...keys) => Promise.all(keys.map((key) => page.keyboard.press(key)));

const hasRing = (page) =>
  page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle !== "none");

export async function focusFollowsThePage(browser, { expect, watched }) {
  const title = "Acceptance: the focus";
  const { id } = await call("/tasks/", { title, description: "Nobody runs it." });
  const page = await watched(browser);
  // What other scenes have left unseen is counted in front.
  const named = (name) =>
    page.waitForFunction(
      (wanted) => document.title.replace(/^\(\d+\) /, "") === wanted,
      `${name} · Taskbeacon`,
    );
  const row = page.locator(`[data-task="${id}"]`);

  await page.goto(`${base}/projects/1/`);
  await row.waitFor();
  await named("Tasks");
  expect(
    await page.evaluate(() => document.activeElement === document.body),
    "the first page leaves the focus to the browser",
  );
  await row.click();
  await focused(page, "main h1", title);
  await named(title);
  expect(!(await hasRing(page)), "a click gives the focus to the heading, without a ring");
  await page.goBack();
  await focused(page, "main a", title);
  expect(true, "the way back leads to the row that was clicked");

  await pressPair(page, "g", "i");
  await focused(page, "main h1", "Inbox");
  await named("Inbox");
  expect(!(await hasRing(page)), "keys give it to the heading, without a ring too");
  await pressPair(page, "g", "t");
  await focused(page, "main h1", "Tasks");
  await row.waitFor();
  await page.keyboard.press("j");
  await focused(page, "main [data-task]", "");
  expect(await hasRing(page), "j goes to the first row");
  await row.focus();
  await page.keyboard.press("Enter");
  await focused(page, "main h1", title);
  await page.goBack();
  await focused(page, "main a", title);
  expect(true, "Enter opens it, and the way back leads to it, too");

  await page.getByRole("link", { name: "Settings" }).click();
  await focused(page, "main h1", "Settings");
  await page.getByRole("link", { name: "Webhooks" }).click();
  await focused(page, "main h2", "Webhooks");
  await named("Webhooks");
  expect(true, "so does each section of the settings");

  await page.goto(`${base}/projects/1/tasks/00000000-0000-7000-8000-000000000000`);
  await page.getByRole("heading", { level: 1, name: "There is no such task" }).waitFor();
  await page.getByRole("link", { name: "All tasks" }).click();
  await focused(page, "main h1", "Tasks");
  expect(true, "a page that does not exist says so, and leads on");
  for (const [path, what] of [
    ["/projects/99/", "project"],
    ["/foo", "page"],
    ["/projects/1/foo", "page"],
  ]) {
    await page.goto(base + path);
    await page.getByRole("heading", { level: 1, name: `There is no such ${what}` }).waitFor();
    await page.getByRole("link", { name: "All tasks" }).click();
    await focused(page, "main h1", "Tasks");
    expect(true, `so does ${path}`);
  }
  await page.context().close();
}

export async function focusOutlivesWhatHadIt(browser, { expect, watched }) {
  const title = "Acceptance: an answer takes its card away";
  await newRequest(title, "session/request_permission", {
    toolCall: { toolCallId: "t", title, kind: "execute" },
    options: [{ optionId: "once", name: "Allow", kind: "allow_once" }],
  });
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/inbox`);
  const card = page.locator("section", { has: page.getByRole("heading", { level: 2, name: title }) });
  const button = card.getByRole("button", { name: /^Allow/ });
  await cardOf(page, title).waitFor();
  await button.focus();
  await page.keyboard.press("Enter");
  await card.waitFor({ state: "detached" });
  await focused(page, "main h1", "Inbox");
  expect(true, "a question that goes leaves the focus to the heading");
  await page.context().close();
}

export async function endOfARunLeavesThePersonTyping(browser, { expect, watched }) {
  const run = await openRun("Acceptance: a run ends in mid-sentence");
  const page = await watched(browser);
  await page.goto(`${base}/projects/1${run.path}`);
  await page.getByPlaceholder("Message the agent").focus();
  await page.keyboard.type("I am writ");
  await run.end();
  const field = page.getByPlaceholder(/^Continue from Run/);
  await field.waitFor();
  // Outside of the field, e would archive the task.
  await page.keyboard.type("ing here");
  expect((await field.inputValue()) === "I am writing here", "words go on where they began");
  expect(!(await call(`/tasks/${run.task.id}/`)).archived, "and no key of the page is pressed by them");
  await page.context().close();
}
