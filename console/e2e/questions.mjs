// Every kind of question, asked by an agent that sends what its task says (e2e/catalog.mjs).
import { call, newRequest, newRun, newTask, start } from "./api.mjs";
import { base, cardOf } from "./browser.mjs";

const FORM = {
  type: "object",
  required: ["name"],
  properties: {
    name: { type: "string", title: "Name", minLength: 2 },
    port: { type: "integer", title: "Port", minimum: 1, maximum: 65535 },
    tls: { type: "boolean", title: "Encrypted", description: "Whether clients must use TLS" },
    level: { type: "string", title: "Level", enum: ["low", "high"] },
    targets: {
      type: "array",
      title: "Targets",
      items: {
        anyOf: [
          { const: "web", title: "Web" },
          { const: "ios", title: "iOS" },
        ],
      },
    },
  },
};
const OPTIONS = [
  { optionId: "always", name: "Allow always", kind: "allow_always" },
  { optionId: "once", name: "Allow", kind: "allow_once" },
  { optionId: "no", name: "Reject", kind: "reject_once" },
];
const COMMAND = "git push --force origin main";

const asks = (browser, watched, title) => async (method, params) => {
  const task = await newRequest(title, method, params);
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/tasks/${task.id}`);
  return { page, task };
};

/** What the agent heard, which it says. */
async function heard(page) {
  const said = page.getByRole("log").getByText('"result"');
  await said.waitFor();
  // biome-ignore lint/performance/useDomNodeTextContent: the locator's own method, not the element's
  return JSON.parse(await said.innerText()).result;
}

/** An answer that waits for a connection would look given, and be given at a time that nothing shows. */
export async function answerWithoutAConnectionFails(browser, { expect, watched }) {
  const { page } = await asks(
    browser,
    watched,
    "Acceptance: an answer offline",
  )("session/request_permission", {
    toolCall: { toolCallId: "t", title: "Go on?", kind: "execute" },
    options: [{ optionId: "once", name: "Allow", kind: "allow_once" }],
  });
  const allow = page.getByRole("button", { name: /^Allow/ });
  await cardOf(page, "Go on?").waitFor();
  await page.context().setOffline(true);
  await allow.click();
  await page.getByText("The service is not reachable. Check your connection.").waitFor();
  expect(await allow.isEnabled(), "offline, an answer says that it was not given");
  await page.context().setOffline(false);
  // Another click so soon would count as a double one.
  await allow.press("Enter");
  expect((await heard(page)).outcome.optionId === "once", "online again, it can be given");
  await page.context().close();
}

export async function formIsFilledIn(browser, { expect, watched, checkAccess }) {
  const { page } = await asks(
    browser,
    watched,
    "Acceptance: a form",
  )("elicitation/create", {
    mode: "form",
    message: "Configure the server.",
    requestedSchema: FORM,
  });
  await cardOf(page, /./).waitFor();
  await checkAccess(page, "a form");
  const send = page.locator("section form").getByRole("button", { name: "Send" });
  expect(await send.isDisabled(), "a form is not sent before what it needs is there");
  expect(await page.getByText("Still to be filled in: Name").isVisible(), "and says what is missing");
  for (const [role, name, keys] of [
    ["textbox", "Name", "db"],
    ["spinbutton", "Port", "5432"],
    ["checkbox", "Encrypted", " "],
    ["radio", "high", " "],
    ["checkbox", "Web", " "],
  ]) {
    await page.getByRole(role, { name }).focus();
    await page.keyboard.type(keys);
  }
  await send.focus();
  await page.keyboard.press("Enter");
  const answer = await heard(page);
  const content = { name: "db", port: 5432, tls: true, level: "high", targets: ["web"] };
  const isWhole = Object.entries(content).every(
    ([name, value]) => JSON.stringify(answer.content?.[name]) === JSON.stringify(value),
  );
  expect(answer.action === "accept" && isWhole, `the agent hears the form ${JSON.stringify(answer)}`);
  await page.context().close();
}

export async function pageIsOpenedOrDeclined(browser, { expect, watched, checkAccess }) {
  const { page } = await asks(
    browser,
    watched,
    "Acceptance: a page to open",
  )("elicitation/create", {
    mode: "url",
    elicitationId: "e",
    url: "https://example.com/login?next=https://good.example",
    message: "Log in.",
  });
  await cardOf(page, "Log in.").waitFor();
  expect(
    await page.locator("strong", { hasText: /^example\.com$/ }).isVisible(),
    "the host of the page stands first",
  );
  await checkAccess(page, "a page to open");
  await page.getByRole("button", { name: "Decline" }).click();
  const answer = await heard(page);
  expect(answer.action === "decline", `the agent hears that it is declined ${JSON.stringify(answer)}`);
  await page.context().close();
}

export async function answerIsNamedInTheInbox(browser, { expect, watched }) {
  const { id } = await newRun("Acceptance: an answer in the inbox", [["ask", "Go on?"]]);
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/inbox`);
  const rows = page.getByRole("main").getByRole("listitem");
  const row = rows.filter({ has: page.locator(`a[href*="${id}"]`) });
  await row.filter({ has: cardOf(page, "Go on?") }).waitFor();
  await row.getByRole("button", { name: /^no/ }).press("Enter");
  await row.filter({ hasText: "Go on?" }).waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Show answered ones too" }).click();
  await row.getByText(/Answered by .+ in the console: no$/).waitFor();
  expect(true, "the inbox says who answered what, and from where");
  await page.context().close();
}

export async function runsOfOneTaskAreNamed(browser, { expect, watched }) {
  const title = "Acceptance: two runs ask the same";
  const task = await newTask(title, [["ask", "Go on?"]]);
  const { latest_run: first } = await start(task, { mode: "interactive" });
  await start(task, { mode: "interactive" });
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/inbox`);
  const cards = page.getByRole("main").getByRole("listitem").filter({ hasText: title });
  await cards.filter({ hasText: "Run 1" }).waitFor();
  await cards.filter({ hasText: "Run 2" }).waitFor();
  expect(true, "two runs of one task are named in the inbox");
  await call(`/tasks/${task.id}/runs/${first.id}/`, { status: "cancelled" }, "PATCH");
  await cards.filter({ hasText: "Run 1" }).waitFor({ state: "detached" });
  await cards.filter({ hasText: "Run 2" }).waitFor({ state: "detached" });
  expect((await cards.count()) === 1, "a run that asks alone needs no name");
  await page.context().close();
}

/** What one decides by, and what decides, in few lines. */
export async function cardsOfTheInboxAreLow(browser, { expect, watched, checkAccess }) {
  const title = "Acceptance: a low card";
  const options = OPTIONS;
  const command = `echo ${"a long word ".repeat(60)}`;
  const toolCall = { toolCallId: "t", title: "Run `echo`", kind: "execute", rawInput: { command } };
  await newRequest(title, "session/request_permission", { toolCall, options });
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/inbox`);
  const card = page.getByRole("main").getByRole("listitem").filter({ hasText: title });
  await card.filter({ has: cardOf(page, "Run echo") }).waitFor();
  const { height } = await card.boundingBox();
  expect(height <= 112, `a permission with a long command is a low card (${height})`);
  await checkAccess(page, "a brief card");
  await card.getByRole("button", { name: "More" }).press("Enter");
  const all = card.getByRole("group", { name: "What it is about" });
  expect((await all.textContent()).trim() === command.trim(), "which shows all of it when it is opened");
  await page.context().close();
}

export async function highRiskIsTyped(browser, { expect, watched, checkAccess }) {
  const { page, task } = await asks(
    browser,
    watched,
    "Acceptance: high risk",
  )("session/request_permission", {
    toolCall: { toolCallId: "t", title: "Push", kind: "execute", rawInput: { command: COMMAND } },
    options: OPTIONS,
  });
  const field = page.getByLabel("Type allow to allow it");
  await cardOf(page, "Push").waitFor();
  await checkAccess(page, "a question of high risk");
  expect(
    await page.getByRole("group", { name: "What it is about" }).getByText(COMMAND).isVisible(),
    "the whole command is shown",
  );
  for (const name of ["Allow always", /^Allow(?! always)/])
    expect(
      await page.getByRole("button", { name }).isDisabled(),
      `nothing allows before it is typed: ${name}`,
    );
  expect(await page.getByRole("button", { name: /^Reject/ }).isEnabled(), "it can be rejected at once");
  await page.keyboard.press("a");
  await page.keyboard.press("1");
  expect(
    (await call(`/tasks/${task.id}/`)).latest_run.state.waiting_for?.kind === "permission",
    "nor do keys",
  );

  await page.keyboard.press("e");
  await page.getByText("this can destroy something").waitFor();
  expect(!(await call(`/tasks/${task.id}/`)).archived, "e explains a question, wherever the focus is");
  await checkAccess(page, "an explained question");
  await page.setViewportSize({ width: 390, height: 844 });
  const { width } = await page.getByText("this can destroy something").boundingBox();
  expect(width > 240, `on a phone, what is explained has the whole width (${width})`);
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.getByRole("button", { name: /^Reject/ }).focus();
  await page.keyboard.press("e");
  await page.getByText("this can destroy something").waitFor({ state: "detached" });

  await field.focus();
  await page.keyboard.type("allow");
  await page.keyboard.press("Enter");
  const answer = await heard(page);
  expect(answer.outcome?.optionId === "once", `the agent hears one permission ${JSON.stringify(answer)}`);
  await page.getByRole("button", { name: "Finish", exact: true }).click();
  await page.getByRole("button", { name: "Start over" }).waitFor();
  // It is said for seconds only.
  await Promise.all([page.getByText("Archived.").waitFor(), page.keyboard.press("e")]);
  await page.locator("main header").getByText("Archived", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByText("Taken out of the archive.").waitFor();
  await page.locator("main header").getByText("Archived", { exact: true }).waitFor({ state: "detached" });
  expect(true, "an archived task says so, and the archive is undone beside the word of it");
  expect(true, "e archives elsewhere");
  await page.context().close();
}
