// Pushes from the service to the worker of a signed-in browser, and presence that holds them back.
//
// The service encrypts a push and sends it by HTTP to a push service of the scene (pushservice.mjs); what that holds is
// handed to the worker.
import { call, newRun, newTask, start } from "./api.mjs";
import { base, openPage, stack, until } from "./browser.mjs";
import { withDevice } from "./pushservice.mjs";
import { openBrowser } from "./worker.mjs";

const { origin } = new URL(base);
const account = { Authorization: `Bearer ${stack.api_key}`, "Content-Type": "application/json" };

// A beat counts for 60 seconds, and the last one comes with the last sign of the person.
const SOONER_THAN_IT_LAPSES = 45_000;

const decisionOf = async (task, device) =>
  (await call(`/tasks/${task}/notifications/`)).results.find((row) => row.device === device);

export async function buttonOfANoticeAnswers(browser, { expect }) {
  await withDevice(async ({ pushes, id }) => {
    const { page, deliver, notices, press } = await openBrowser(browser, "/projects/1/inbox");
    const task = await newRun("Acceptance: a notice", [
      ["ask", "Deploy?"],
      ["say", "Deployed."],
    ]);
    const push = await until("the push", () => pushes.find(({ data }) => data?.taskId === task.id));
    await deliver(push);
    const [notice] = await until("the notice", async () => (await notices()).length && notices());
    expect(
      JSON.stringify(notice.actions) === '["reject","allow"]',
      `the notice of a permission has its two buttons ${JSON.stringify(notice)}`,
    );
    await press("allow");
    await until("the answer", async () => {
      const { results } = await call(`/tasks/${task.id}/notifications/`);
      const [row] = results;
      return row && (await call(`/tasks/${task.id}/`)).latest_run.state.waiting_for?.kind === "message";
    });
    expect(true, "its button answers, and the run goes on without the page");
    await until("the end of the notice", async () => (await notices()).length === 0);
    expect(true, "the notice is closed");
    expect(page.url().endsWith("/inbox"), "the page stays where it was");
    expect((await decisionOf(task.id, id)).decision !== "no_token", "the history names the device");
    await page.context().close();
  });
}

export async function noticeIsClosedWhenItsQuestionIs(browser, { expect }) {
  await withDevice(async ({ pushes }) => {
    const { page, deliver, notices } = await openBrowser(browser, "/projects/1/settings/account");
    const task = await newRun("Acceptance: answered elsewhere", [["ask", "Still there?"]]);
    const push = await until("the push", () => pushes.find(({ data }) => data?.taskId === task.id));
    await deliver(push);
    await until("the notice", async () => (await notices()).length);
    const { state, id: run } = (await call(`/tasks/${task.id}/`)).latest_run;
    const option = state.waiting_for.options[0].optionId;
    await call(`/tasks/${task.id}/runs/${run}/command/`, {
      jsonrpc: "2.0",
      method: "permission_response",
      params: { requestId: state.waiting_for.request_id, optionId: option },
    });
    await until("the end of the notice", async () => (await notices()).length === 0);
    expect(true, "an answer elsewhere closes the notice of a browser that is open");
    await deliver(push);
    const clear = await until("the retraction", () =>
      pushes.find(({ data }) => data?.taskId === task.id && data.kind === "clear"),
    );
    await deliver(clear);
    await deliver(push);
    await deliver({ ...push, notification: { ...push.notification, tag: "q:other", title: "Later" } });
    await until("the last notice", async () => (await notices()).some(({ title }) => title === "Later"));
    expect(
      !(await notices()).some(({ tag, actions }) => tag === push.notification.tag && actions.length),
      "a push that comes behind its retraction asks nothing",
    );
    await page.context().close();
  });
}

/** A page closes the notices of its task whenever a person comes to it, also while a push about another is being shown. */
export async function pageThatIsLookedAtLosesNoNotice(browser, { expect }) {
  const { id } = await call("/tasks/", { title: "Acceptance: looked at", description: "Nobody runs it." });
  const { page, deliver, notices } = await openBrowser(browser, `/projects/1/tasks/${id}`);
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.route("**/presence/**", (route) => route.fulfill({ status: 204 }));
  await page.evaluate(() => setInterval(() => globalThis.dispatchEvent(new Event("focus")), 2));
  const tags = Array.from({ length: 100 }, (_, index) => `q:${index}`);
  for (const tag of tags) await deliver({ notification: { title: tag, tag, data: { taskId: "t", seq: 1 } } });
  const shown = await notices();
  expect(shown.length === tags.length, `all notices about other tasks are kept (${shown.length})`);
  await page.context().close();
}

/** A browser without push permission: its session is the device that presence knows. */
export async function sessionDefersPushes(browser, { expect }) {
  await withDevice(async ({ id, pushes }) => {
    const page = await openPage(browser);
    const sent = [];
    page.on("requestfinished", (request) => {
      if (request.url().includes("/presence/")) sent.push(request.postDataJSON());
    });
    const task = await newTask("Acceptance: presence", [["ask", "Do you see me?"]]);
    await page.goto(`${base}/projects/1/tasks/${task.id}`);
    await until("a beat", () => sent.length);
    const session = await (await page.request.get(`${origin}/api/console/session/`)).json();
    expect(
      sent[0].device_id === session.id && sent[0].focused === true,
      "a page that is looked at beats with its session, without permission for pushes",
    );
    // Only now: what comes before the page is there is not held back for it.
    await start(task, { mode: "interactive" });
    await page.getByRole("heading", { name: "Do you see me?" }).waitFor();
    const deferred = await until("the decision", () => decisionOf(task.id, id));
    expect(deferred.decision === "deferred", `the push to the phone waits (${deferred.decision})`);
    expect(deferred.watched_by?.device === session.id, "because of this browser");
    let place = 300;
    const seen = await until("what was seen", async () => {
      // The ledger may come behind the question itself.
      place += 2;
      await page.mouse.move(place, place);
      const row = await decisionOf(task.id, id);
      return row.decision !== "deferred" && row;
    });
    expect(
      seen.decision === "not_needed" && seen.reason === "seen",
      `a person who moves has seen it: no push (${seen.decision}, ${seen.reason})`,
    );
    expect(!pushes.some(({ data }) => data?.taskId === task.id), "the phone stays silent");
    await page.goto("about:blank");
    // The browser reports no request of a page that has gone, but the service knows who looks.
    const isWatched = async () => (await call("/viewers/")).results.some((row) => row.task === task.id);
    await until("the end of its presence", async () => !(await isWatched()), SOONER_THAN_IT_LAPSES);
    const { id: run } = (await call(`/tasks/${task.id}/`)).latest_run;
    await call(`/tasks/${task.id}/runs/${run}/`, { status: "cancelled" }, "PATCH");
    await until("the push", () => pushes.some(({ data }) => data?.taskId === task.id));
    const { history } = await decisionOf(task.id, id);
    expect(
      !history.some(({ decision }) => decision === "deferred"),
      `a person who has left gets the next push at once ${JSON.stringify(history)}`,
    );
    await page.context().close();
  });
}

/** What the console looks like to a browser that may install it. */
export async function consoleCanBeInstalled(browser, { expect }) {
  const page = await openPage(browser);
  const tools = await page.context().newCDPSession(page);
  await page.goto(`${base}/projects/1/`);
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => null));
  const { installabilityErrors } = await tools.send("Page.getInstallabilityErrors");
  // A context of a test is a private window to the browser.
  const errors = installabilityErrors.filter(({ errorId }) => errorId !== "in-incognito");
  expect(errors.length === 0, `nothing keeps it from being installed ${JSON.stringify(errors)}`);
  const { errors: broken, data } = await tools.send("Page.getAppManifest");
  expect(broken.length === 0 && JSON.parse(data).display === "standalone", "its manifest is sound");
  await page.context().close();
}

/** A stream is authenticated once: it must not outlive its session. */
export async function streamEndsWithItsSession(browser, { expect }) {
  const page = await openPage(browser, { isSignedOut: true });
  const session = `${origin}/api/console/session/`;
  const opened = await page.request.post(session, { data: { api_key: stack.api_key } });
  const { id } = await opened.json();
  const stream = page.waitForResponse(/events\/stream/);
  await page.goto(`${base}/projects/1/inbox`);
  await page.getByRole("heading", { name: "Inbox" }).waitFor();
  await stream;
  const began = performance.now();
  const ended = await fetch(`${stack.base_url}/api/console/sessions/${id}/`, {
    method: "DELETE",
    headers: account,
  });
  expect(ended.status === 204, `the session is ended elsewhere (${ended.status})`);
  await page.getByRole("heading", { name: "Sign in to Taskbeacon" }).waitFor();
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  expect(true, `a page that is open asks to sign in, though nobody touches it (after ${seconds} s)`);
  await page.context().close();
}
