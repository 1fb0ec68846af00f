// What a person writes to an agent reaches it, or the page says that it did not, and what can be done about it.
import { call, newRun } from "./api.mjs";
import { base } from "./browser.mjs";

const FIELD = "Message to the agent";
const WHEN = "When the agent gets the message";
const LONG = [["sh", "sleep 600"]];

/** Write a message for after the turn; return what says that it waits. */
async function keep(page, id, text) {
  await page.goto(`${base}/projects/1/tasks/${id}`);
  await page.getByLabel(WHEN).selectOption("After this turn");
  await page.getByLabel(FIELD).fill(text);
  await page.keyboard.press("Enter");
  await page.getByText("Queued for the agent").waitFor();
}

export async function queuedMessageIsThereOnEachDevice(browser, { expect, watched, checkAccess }) {
  const { id } = await newRun("Acceptance: a message that waits", LONG);
  const desk = await watched(browser);
  await keep(desk, id, "Next, that.");
  const ways = await desk.getByLabel(WHEN).locator("option").allInnerTexts();
  expect(String(ways) === "After this turn", `the built-in agent is not steered (${ways})`);
  const phone = await watched(browser, { size: "phone" });
  await phone.goto(`${base}/projects/1/tasks/${id}`);
  const log = phone.getByRole("log");
  await log.getByText("Next, that.").waitFor();
  await checkAccess(phone, "a message that waits");
  await desk.reload();
  await desk.getByRole("log").getByText("Next, that.").waitFor();
  expect(true, "a message that waits is there after a reload, and on another device");
  await phone.getByRole("button", { name: "Edit", exact: true }).tap();
  await desk.getByText("Queued for the agent").waitFor({ state: "detached" });
  expect((await phone.getByLabel(FIELD).inputValue()) === "Next, that.", "where it can be taken back");
  await phone.getByLabel(FIELD).fill("```say\nI did this.\n```");
  await phone.getByLabel(WHEN).selectOption("After this turn");
  await phone.getByRole("button", { name: "Send", exact: true }).tap();
  await desk.getByText("Queued for the agent").waitFor();
  await desk.getByRole("button", { name: "Stop" }).click();
  await desk.getByText("Read by the agent").waitFor();
  await phone.getByText("Read by the agent").waitFor();
  const waiting = desk.getByText("Queued for the agent");
  expect((await waiting.count()) === 0, "and it does not wait any more once the agent has it");
  await Promise.all([desk.context().close(), phone.context().close()]);
}

export async function messageThatNoTurnReadsCanStillBeSent(browser, { expect, watched, checkAccess }) {
  const { id, latest_run: run } = await newRun("Acceptance: a message that came too late", LONG);
  const page = await watched(browser);
  await keep(page, id, "```say\nNext, this.\n```");
  const phone = await watched(browser, { size: "phone" });
  await phone.goto(`${base}/projects/1/tasks/${id}`);
  await phone.getByText("Queued for the agent").waitFor();
  await page.getByRole("button", { name: "End run" }).click();
  await page.getByRole("button", { name: "Really end it: 1 message is not read yet" }).waitFor();
  await call(`/tasks/${id}/runs/${run.id}/`, { status: "cancelled" }, "PATCH");
  await page.getByText("Never given to the agent").waitFor();
  expect(
    (await page.getByText("Queued for the agent").count()) === 0,
    "a message does not wait for a run that is over",
  );
  await checkAccess(page, "a message that came too late");
  const again = { name: "Send again in a new run" };
  for (const when of ["at once", "after a reload"]) {
    if (when === "after a reload") await phone.reload();
    await phone.getByText("Never given to the agent").waitFor();
    await phone.getByRole("log").locator("pre", { hasText: "Next, this." }).waitFor();
    await phone.getByRole("button", again).waitFor();
    expect(true, `a device that has not sent it has it, too (${when})`);
  }
  await page.getByRole("button", again).click();
  await page.getByText("This run continues from").waitFor();
  await page.getByRole("log").locator("pre", { hasText: "Next, this." }).waitFor();
  expect(true, "it is sent as the first message of a run that continues");
  await page.goto(`${base}/projects/1/tasks/${id}/runs/${run.id}`);
  await page.getByPlaceholder(/^Continue from Run/).waitFor();
  await page.getByText("Never given to the agent").waitFor();
  expect((await page.getByRole("button", again).count()) === 0, "and is not offered again");
  await Promise.all([page.context().close(), phone.context().close()]);
}

export async function messageOfARunThatCannotStartComesBack(browser, { expect, watched }) {
  const { id, latest_run: run } = await newRun("Acceptance: a run that cannot start", [["say", "Hello."]]);
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/tasks/${id}`);
  await page.getByPlaceholder("Your turn: what next?").waitFor();
  await call(`/tasks/${id}/runs/${run.id}/`, { status: "cancelled" }, "PATCH");
  await page.getByPlaceholder(/^Continue from Run/).fill("Go on with this.");
  await page.route(`**/tasks/${id}/run`, (route) => route.abort());
  await page.getByLabel(FIELD).press("Enter");
  await page.getByText("The service is not reachable").waitFor();
  const field = page.getByLabel(FIELD);
  expect((await field.inputValue()) === "Go on with this.", "a message is not lost if no run can start");
  await page.unroute(`**/tasks/${id}/run`);
  await field.press("Enter");
  await page.getByText("This run continues from").waitFor();
  await page.context().close();
}

export async function phoneWritesLines(browser, { expect, watched }) {
  const { id } = await newRun("Acceptance: lines by a phone", [["say", "Hello."]]);
  const page = await watched(browser, { size: "phone" });
  await page.goto(`${base}/projects/1/tasks/${id}`);
  await page.getByPlaceholder("Your turn: what next?").waitFor();
  await page.getByLabel(FIELD).tap();
  for (const line of ["```say", "I heard you.", "```"]) {
    await page.keyboard.type(line);
    await page.keyboard.press("Enter");
  }
  const written = await page.getByLabel(FIELD).inputValue();
  expect(written === "```say\nI heard you.\n```\n", "Enter on the keyboard of a phone begins a line");
  await page.getByRole("button", { name: "Send", exact: true }).tap();
  await page.getByRole("log").getByText("Read by the agent").waitFor();
  expect(true, "and the button sends");
  await page.context().close();
}
