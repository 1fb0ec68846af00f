// What a person writes to an agent reaches it, or the page says that it did not, and what can be done about it.
import { call, newRun, newTask, start } from "./api.mjs";
import { base } from "./browser.mjs";

const FIELD = "Message to the agent";
const WHEN = "When the agent gets the message";
const LONG = [["sh", "sleep 600"]];

export async function keptMessageOfARunThatEndsCanStillBeSent(browser, { expect, watched, checkAccess }) {
  const { id, latest_run: run } = await newRun("Acceptance: a message that came too late", LONG);
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/tasks/${id}`);
  await page.getByLabel(WHEN).selectOption("After this turn");
  await page.getByLabel(FIELD).fill("```say\nNext, this.\n```");
  await page.keyboard.press("Enter");
  await page.getByText("Kept until the turn ends: this page sends it then").waitFor();
  await call(`/tasks/${id}/runs/${run.id}/`, { status: "cancelled" }, "PATCH");
  await page.getByText("Not sent: the run has ended").waitFor();
  expect(
    (await page.getByText(/^Kept until/).count()) === 0,
    "a message does not wait for a run that is over",
  );
  await checkAccess(page, "a message that came too late");
  await page.getByRole("button", { name: "Continue from Run" }).click();
  await page.getByText("This run continues from").waitFor();
  await page.getByRole("log").locator("pre", { hasText: "Next, this." }).waitFor();
  expect(true, "it is sent as the first message of a run that continues");
  await page.goto(`${base}/projects/1/tasks/${id}/runs/${run.id}`);
  await page.getByPlaceholder(/^Continue from Run/).waitFor();
  expect((await page.getByText("Next, this.").count()) === 0, "and is not offered again");
  await page.context().close();
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

export async function backgroundRunKeepsNoMessage(browser, { expect, watched }) {
  const task = await newTask("Acceptance: messages to a background run", LONG);
  await start(task, { mode: "background" });
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/tasks/${task.id}`);
  await page.getByRole("button", { name: "Stop" }).waitFor();
  expect((await page.getByLabel(WHEN).count()) === 0, "the end of its turn is the end of the run");
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
