// What the buttons of the settings do, and say: webhooks with their deliveries, and a push to try a device.
import { createServer } from "node:http";
import { call } from "./api.mjs";
import { base, until } from "./browser.mjs";
import { withDevice } from "./pushservice.mjs";

/** A receiver of webhooks that answers as it is told, and keeps what came. */
async function openReceiver() {
  const received = [];
  const answer = { status: 200, text: "taken" };
  const server = createServer(async (incoming, reply) => {
    const parts = [];
    for await (const part of incoming) parts.push(part);
    received.push({ headers: incoming.headers, body: JSON.parse(Buffer.concat(parts)) });
    reply.writeHead(answer.status, { "Content-Type": "text/plain" }).end(answer.text);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/hook`,
    received,
    answer,
    close: () => server.close(),
  };
}

const newTask = (title) => call("/tasks/", { title, description: "Nobody runs it." });

/** Delete a task, which no other scene does meanwhile; return when the ledger shows the event. */
async function causeEvent() {
  const { id } = await newTask("Acceptance: an event");
  await call(`/tasks/${id}/`, null, "DELETE");
  const path = `/events/?type=task.deleted&task_id=${id}`;
  await until("the event", async () => (await call(path)).results.length);
}

/** Press a button, and wait for what the page then says, which it says for seconds only. */
const hears = (page, text, button) =>
  Promise.all([page.getByRole("status").getByText(text).waitFor(), button.click()]);

export async function webhooksAreKeptUp(browser, { expect, watched, checkAccess }) {
  const receiver = await openReceiver();
  try {
    const page = await watched(browser);
    const press = (name) => page.getByRole("button", { name, exact: true }).click();
    await page.goto(`${base}/projects/1/settings/webhooks`);
    await press("Add an endpoint");
    await page.getByLabel("Address").fill(receiver.url);
    await page.getByLabel("Events").fill("task.deleted");
    await press("Add");
    await page.getByText("Save this secret now").waitFor();
    const secret = page.locator("code", { hasText: "whsec_" });
    const first = await secret.textContent();
    await press("Done");

    const item = page.getByRole("listitem").filter({ hasText: receiver.url });
    const ping = item.getByRole("button", { name: /^Ping/ });
    await hears(page, "Sent. The delivery shows what came back.", ping);
    await item.getByRole("button", { name: /^ping\s*delivered/ }).waitFor();
    expect(receiver.received[0].body.type === "ping", "a ping arrives, and its delivery says so");

    Object.assign(receiver.answer, { status: 502, text: "The gateway has no answer." });
    await causeEvent();
    const delivery = item.getByRole("button", { name: /^task\.deleted/ });
    await delivery.filter({ hasText: "failed, next at" }).waitFor();
    await delivery.click();
    // The next attempt comes after seconds.
    await item.getByText("The gateway has no answer.").first().waitFor();
    await item
      .getByText(/: 502 in \d+ ms/)
      .first()
      .waitFor();
    expect(true, "a delivery that failed shows what the receiver said, and when the next attempt is");
    await checkAccess(page, "the deliveries of a webhook");

    Object.assign(receiver.answer, { status: 200, text: "taken" });
    const before = receiver.received.length;
    // The newest delivery stands first.
    await hears(page, "It is sent again.", item.getByRole("button", { name: /^Send again/ }).first());
    await delivery.filter({ hasText: /delivered/ }).waitFor();
    const ids = receiver.received.slice(before - 1).map(({ headers }) => headers["webhook-id"]);
    expect(new Set(ids).size === 1, "sent again it arrives, as the same message");

    await item.getByRole("button", { name: "Switch off" }).click();
    await item.getByText("Off: you switched it off").waitFor();
    await causeEvent();
    const sendMissed = item.getByRole("button", { name: `Send what did not arrive ${receiver.url}` });
    await hears(page, /disabled/, sendMissed);
    expect(true, "what cannot be done says why");
    await item.getByRole("button", { name: "Switch on" }).click();
    await item.getByRole("button", { name: "Switch off" }).waitFor();
    const missed = receiver.received.length;
    await hears(page, "Sent again: 1 message.", sendMissed);
    await until("the missed event", () => receiver.received.length > missed);
    expect(true, "what did not arrive while it was off is sent");
    await delivery.filter({ hasText: "delivered" }).nth(1).waitFor();
    await hears(page, "Everything has arrived.", sendMissed);

    await item.getByRole("button", { name: "New secret" }).click();
    await item.getByRole("button", { name: "Really a new secret" }).click();
    await page.getByText("The secret before signs beside it until").waitFor();
    expect((await secret.textContent()) !== first, "a new secret is shown once");
    await press("Done");
    const last = receiver.received.length;
    await ping.click();
    await until("another ping", () => receiver.received.length > last);
    const signatures = receiver.received.at(-1).headers["webhook-signature"].split(" ");
    expect(signatures.length === 2, "and signs beside the one before");

    await item.getByRole("button", { name: `Delete ${receiver.url}` }).dblclick();
    expect((await item.count()) === 1, "a double click deletes nothing");
    await item.getByRole("button", { name: "Really delete" }).click();
    await item.first().waitFor({ state: "detached" });
    expect(page.problems.length === 0, `no problems ${page.problems.join("; ")}`);
    await page.context().close();
  } finally {
    receiver.close();
  }
}

export async function testPushReachesItsDevice(browser, { expect, watched }) {
  await withDevice(async ({ pushes }) => {
    await newTask("Acceptance: a push to try");
    const page = await watched(browser);
    await page.goto(`${base}/projects/1/settings/devices`);
    const device = page.getByRole("listitem").filter({ hasText: "Browser" });
    await hears(page, "Sent: the push service has it", device.getByRole("button", { name: "Test push" }));
    expect(pushes.length === 1, `one push goes to the device (${pushes.length}), and the page says so`);
    await device.getByRole("button", { name: /^Remove/ }).click();
    await device.getByRole("button", { name: "Really remove" }).click();
    await page.getByRole("heading", { name: "No devices" }).waitFor();
    expect(true, "and a device that is not at hand can be removed");
    await page.context().close();
  });
}
