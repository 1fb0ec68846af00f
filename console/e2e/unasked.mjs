// The page changes by itself under a person who types, taps or presses keys: nothing happens that they did not mean.
import { call, newRequest, newRun, newTask, start } from "./api.mjs";
import { base, cardOf, holdBack, until } from "./browser.mjs";

const SENTENCE = "And the rest archives, answers, creates.";
const field = (page) => page.getByRole("textbox", { name: "Message to the agent" });

/** The answers that a page sends. */
function answersOf(page) {
  const sent = [];
  page.on(
    "request",
    (request) => /\/answer\/?$|\/command\/?$/.test(request.url()) && sent.push(request.url()),
  );
  return sent;
}

async function endedRun(title, steps) {
  const task = await newRun(title, steps);
  const run = async () => (await call(`/tasks/${task.id}/`)).latest_run;
  // A run that is cancelled before its agent has started takes no message.
  const { id } = await until("the agent", async () => {
    const latest = await run();
    return latest.state.agent_started_at && latest;
  });
  await call(`/tasks/${task.id}/runs/${id}/`, { status: "cancelled" }, "PATCH");
  return task;
}

export async function newRunLeavesWhoTypesInPeace(browser, { expect, watched, checkAccess }) {
  for (const size of ["desk", "phone"]) {
    const task = await endedRun("Acceptance: a run while I type", [["ask", "Delete the old data?"]]);
    const page = await watched(browser, { size });
    const answers = answersOf(page);
    await page.goto(`${base}/projects/1/tasks/${task.id}`);
    await field(page).click();
    await page.keyboard.type("Half of it. ");
    await start(task, { mode: "interactive" });
    await page.getByText("A new run has started.").waitFor();
    await checkAccess(page, `a newer run (${size})`);
    await page.keyboard.type(SENTENCE);
    expect((await field(page).inputValue()) === `Half of it. ${SENTENCE}`, `the text stays (${size})`);
    await page.reload();
    expect((await field(page).inputValue()) === `Half of it. ${SENTENCE}`, "and survives a reload");
    const { archived, latest_run: run } = await call(`/tasks/${task.id}/`);
    expect(!archived && answers.length === 0, "no key archives or answers");
    await page.goto(`${base}/projects/1/tasks/${task.id}`);
    await page.getByRole("heading", { name: "Delete the old data?" }).waitFor();
    expect(run.status !== "cancelled", "the address of the task shows the new run");
    await page.context().close();
  }
}

export async function newRunIsALinkAway(browser, { expect, watched }) {
  const task = await endedRun("Acceptance: a run while I write", [["ask", "Delete the old data?"]]);
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/tasks/${task.id}`);
  await field(page).fill("Unsent");
  await page.getByRole("heading", { level: 1 }).click();
  await start(task, { mode: "interactive" });
  await page.getByRole("link", { name: "Show it" }).click();
  await page.getByRole("heading", { name: "Delete the old data?" }).waitFor();
  await page.goBack();
  await page.getByText("A new run", { exact: false }).waitFor({ state: "detached" });
  expect((await field(page).inputValue()) === "Unsent", "a text that is not sent stays with its run");
  await page.context().close();
}

export async function typingOnAfterEnterGoesOn(browser, { expect, watched }) {
  const task = await endedRun("Acceptance: typing on", [["ask", "Go on?"]]);
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/tasks/${task.id}`);
  await field(page).fill("```ask\nGo on?\n```");
  await page.keyboard.press("Enter");
  await page.keyboard.type(SENTENCE, { delay: 50 });
  await page.getByText("This run continues from").waitFor();
  await page.keyboard.type(" More.", { delay: 50 });
  await page.getByRole("heading", { name: "Go on?" }).waitFor();
  await page.keyboard.type(" Done.");
  const text = await field(page).inputValue();
  expect(text === `${SENTENCE} More. Done.`, `what is typed on is in the field of the new run: ${text}`);
  expect(!(await call(`/tasks/${task.id}/`)).archived, "and archives nothing");
  await page.context().close();
}

export async function keysAfterAVanishedFieldDoNothing(browser, { expect, watched }) {
  const task = await newRequest("Acceptance: a field vanishes", "session/request_permission", {
    toolCall: { toolCallId: "t", title: "Push", kind: "execute", rawInput: { command: "git push --force" } },
    options: [{ optionId: "once", name: "Allow", kind: "allow_once" }],
  });
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/tasks/${task.id}`);
  await page.getByLabel("Type allow to allow it").click();
  await page.keyboard.type("al");
  const { latest_run: run } = await call(`/tasks/${task.id}/`);
  await call(`/tasks/${task.id}/runs/${run.id}/`, { status: "cancelled" }, "PATCH");
  await page.getByRole("button", { name: "Start over" }).waitFor();
  await page.getByText("Closed without an answer").waitFor();
  expect(true, "a question that was withdrawn with its run waits for no answer");
  await page.keyboard.type("e c ");
  await page.keyboard.press("Escape");
  expect(page.url().endsWith(task.id), "no key opens another page");
  expect(!(await call(`/tasks/${task.id}/`)).archived, "or archives");
  await Promise.all([page.getByText("Archived.").waitFor(), page.keyboard.press("e")]);
  expect(true, "after Escape they act again");
  await page.context().close();
}

/** Answer yes in the moment in which a question is drawn, which a busy machine would miss from outside the page. */
const answerWhenDrawn = (page, title, size) =>
  page.evaluate(
    ([wanted, isDesk]) =>
      new Promise((resolve) => {
        const observer = new MutationObserver(() => {
          if (![...document.querySelectorAll("h2")].some((one) => one.textContent.startsWith(wanted))) return;
          observer.disconnect();
          const yes = [...document.querySelectorAll("button")].find((one) =>
            one.textContent.startsWith("yes"),
          );
          if (isDesk) document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "a", bubbles: true }));
          else yes.click();
          resolve();
        });
        observer.observe(document.body, { childList: true, subtree: true, characterData: true });
      }),
    [title, size === "desk"],
  );

export async function unreadQuestionTakesNoAnswer(browser, { expect, watched }) {
  const steps = [
    ["ask", "List the files?"],
    ["ask", "Delete the data?"],
    ["ask", "Really?"],
  ];
  for (const size of ["desk", "phone"]) {
    const task = await newRun("Acceptance: questions in a row", steps);
    const page = await watched(browser, { size });
    const answers = answersOf(page);
    const yes = page.getByRole("button", { name: /^yes/ });
    const act = () => (size === "desk" ? page.keyboard.press("a") : yes.dispatchEvent("click"));
    await page.goto(`${base}/projects/1/tasks/${task.id}`);
    await cardOf(page, "List the files?").waitFor();
    await Promise.all([answerWhenDrawn(page, "Delete the data?", size), act()]);
    await page.getByText("Not sent: you pressed before the question could be read.").waitFor();
    await cardOf(page, "Delete the data?").waitFor();
    expect(answers.length === 1, `what has just appeared is not answered (${size})`);
    await act();
    await page.getByRole("heading", { name: "Really?" }).waitFor();
    expect(answers.length === 2, `and a moment later it is (${size})`);
    await page.context().close();
  }
}

export async function keyShowsAQuestionThatAPaneHides(browser, { expect, watched }) {
  for (const size of ["desk", "phone"]) {
    const task = await newRun("Acceptance: a hidden question", [["ask", "Delete the data?"]]);
    const page = await watched(browser, { size });
    const answers = answersOf(page);
    const show = page.getByRole("button", { name: "Show the question" });
    const release = await holdBack(page, /\/questions\/$/);
    await page.goto(`${base}/projects/1/tasks/${task.id}?pane=changes`);
    await page.getByText("No changes yet").waitFor();
    await page.getByText("Asks you").first().waitFor();
    expect((await show.count()) === 0, "no question is announced before keys can show it");
    release();
    if (size === "desk") {
      await cardOf(page, "Delete the data?").waitFor();
      await page.keyboard.press("f");
    }
    await show.waitFor();
    await page.keyboard.press("a");
    await cardOf(page, "Delete the data?").waitFor();
    expect(answers.length === 0, `a key shows a hidden question, and does not answer it (${size})`);
    await page.keyboard.press("a");
    await page.getByText(/^Answered by /).waitFor();
    expect(answers.length === 1, `and once it could be read, the key does (${size})`);
    await page.context().close();
  }
}

export async function questionThatMovesUpTakesNoAnswer(browser, { expect, watched }) {
  const title = "Acceptance: an inbox that moves";
  await newRun(title, [["ask", "First of all?"]]);
  const page = await watched(browser);
  const answers = answersOf(page);
  // Without those that wait for a message after their answer.
  const yes = page.getByRole("button", { name: /^yes/ });
  const cards = page.getByRole("main").getByRole("listitem").filter({ hasText: title }).filter({ has: yes });
  await page.goto(`${base}/projects/1/inbox`);
  await cards.filter({ hasText: "First of all?" }).waitFor();
  await start(await newTask(title, [["ask", "Second?"]]), { mode: "interactive" });
  const moved = cards.filter({ hasText: "Second?" });
  await moved.waitFor();
  const rest = cards.filter({ has: cardOf(page, /./) });
  await until("both to be readable", async () => (await rest.count()) === 2);
  const top = cards.first();
  const next = cards.nth(1);
  const nextId = await next.getByRole("link").first().getAttribute("href");
  await top.getByRole("button", { name: /^yes/ }).click();
  await until("one to be gone", async () => (await cards.count()) === 1);
  await cards.getByRole("button", { name: /^yes/ }).dispatchEvent("click");
  await rest.waitFor();
  expect(answers.length === 1, "a question that has taken the place of another is not answered");
  expect((await cards.getByRole("link").first().getAttribute("href")) === nextId, "and still waits");
  await cards.getByRole("button", { name: /^yes/ }).press("Enter");
  await until("the other to be gone", async () => (await cards.count()) === 0);
  expect(answers.length === 2, "and a moment later it is");
  await page.context().close();
}
