// What the service worker shows, and where a click on it leads.
import { call } from "./api.mjs";
import { base, until } from "./browser.mjs";
import { openBrowser } from "./worker.mjs";

/** Pushes as the service composes them. */
export async function pushesAreShownAndReplaced(browser, { expect }) {
  const { page, deliver, notices } = await openBrowser(browser, "/projects/1/");
  const push = (title, seq, more = {}) => {
    const notification = { title, body: "", tag: "q:1", data: { taskId: "t", seq }, ...more };
    return deliver({ web_push: 8030, notification, app_badge: 1 });
  };
  const titles = async () => (await notices()).map(({ title, actions }) => [title, actions.length]);
  const shown = (title) =>
    until(title, async () => {
      const all = await titles();
      return all.some(([one]) => one === title) && JSON.stringify(all);
    });
  const actions = ["reject", "allow", "third"].map((action) => ({
    action,
    title: action,
    navigate: `${base}/a/x`,
  }));
  await push("Deploy?", 5, { actions });
  expect((await shown("Deploy?")) === '[["Deploy?",2]]', "a push is shown with two actions");
  await push("Answered by Ana", 6, { silent: true });
  expect((await shown("Answered by Ana")) === '[["Answered by Ana",0]]', "an answer replaces its question");
  await push("Deploy?", 5);
  await push("Another", 1, { tag: "q:2" });
  await shown("Another");
  expect(
    !(await titles()).some(([title]) => title === "Deploy?"),
    "a late push does not replace what is newer",
  );
  await page.context().close();
}

/**
 * A click on a notification about a task, in the worker; return which windows it has focused, and which addresses it has
 * opened.
 */
async function click(worker, title, taskId) {
  // The browser lists it a moment after it is shown, and a page that shows the task closes it from time to time.
  return until(title, () =>
    worker.evaluate(
      async ([wanted, id]) => {
        const { registration } = globalThis;
        const notification = (await registration.getNotifications()).find(({ title: one }) => one === wanted);
        if (!notification) {
          await registration.showNotification(wanted, { data: { actions: [], taskId: id }, tag: wanted });
          return null;
        }
        const seen = { focused: [], opened: [] };
        // Only a click by a person lets a worker do these two.
        globalThis.WindowClient.prototype.focus = async function focus() {
          seen.focused.push(this.url);
          return this;
        };
        globalThis.clients.openWindow = async (address) => {
          seen.opened.push(address);
          return null;
        };
        await globalThis.dispatch(new NotificationEvent("notificationclick", { notification }));
        return seen;
      },
      [title, taskId],
    ),
  );
}

export async function clickFocusesTheTabOfItsTask(browser, { expect }) {
  const task = await call("/tasks/", { title: "Acceptance: a click", description: "Nobody runs it." });
  const { page, worker } = await openBrowser(browser, "/projects/1/inbox");
  const context = page.context();
  const other = await context.newPage();
  await other.goto(`${base}/projects/1/tasks/${task.id}`);
  /** The worker hears a moment later that a page came or went. */
  const windows = (count) =>
    until(`${count} windows`, () =>
      worker.evaluate(async (wanted) => {
        const all = await globalThis.clients.matchAll({ type: "window", includeUncontrolled: true });
        return all.filter(({ url }) => url.includes("/console/")).length === wanted;
      }, count),
    );
  await windows(2);
  const onTask = await click(worker, "On its task", task.id);
  expect(
    JSON.stringify(onTask) === JSON.stringify({ focused: [other.url()], opened: [] }),
    `a click focuses the tab that shows its task ${JSON.stringify(onTask)}`,
  );
  expect(page.url().endsWith("/inbox"), "and leaves the other tab alone");

  await other.close();
  await windows(1);
  const elsewhere = await click(worker, "Elsewhere", task.id);
  expect(
    elsewhere.focused.length === 1 && elsewhere.opened.length === 0,
    `without such a tab it focuses one of the console ${JSON.stringify(elsewhere)}`,
  );
  await page.waitForURL(`**/tasks/${task.id}`);
  expect(true, "which then shows the task");

  await page.goto("about:blank");
  await windows(0);
  const nowhere = await click(worker, "Nowhere", task.id);
  expect(
    JSON.stringify(nowhere) === JSON.stringify({ focused: [], opened: [`/console/tasks/${task.id}`] }),
    `without any tab it opens one ${JSON.stringify(nowhere)}`,
  );
  await context.close();
}
