// A browser with its service worker.
import { base, openPage } from "./browser.mjs";

/** A browser whose worker is ready, on the page at `path`; it takes pushes and clicks. */
export async function openBrowser(browser, path) {
  const page = await openPage(browser, { permissions: ["notifications"] });
  await page.goto(base + path);
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => null));
  const worker = page.context().serviceWorkers()[0] ?? (await page.context().waitForEvent("serviceworker"));
  await worker.evaluate(() => {
    /** Dispatch an event, and wait for what the worker does because of it. */
    globalThis.dispatch = async (event) => {
      const pending = [];
      // A program's event may not wait.
      Object.defineProperty(event, "waitUntil", { value: (promise) => pending.push(promise) });
      globalThis.dispatchEvent(event);
      await Promise.all(pending);
    };
  });
  return {
    page,
    worker,
    /** Hand a push to the worker, and wait until it is shown: Chromium loses a notice if its list is read meanwhile. */
    deliver: (push) =>
      worker.evaluate((data) => globalThis.dispatch(new PushEvent("push", { data })), JSON.stringify(push)),
    notices: () =>
      worker.evaluate(async () =>
        (await globalThis.registration.getNotifications()).map(({ title, body, tag, actions }) => ({
          title,
          body,
          tag,
          actions: actions.map(({ action }) => action),
        })),
      ),
    /** Press a button of the notice, as the system tells the worker that a person did. */
    press: (action) =>
      worker.evaluate(async (name) => {
        const [notification] = await globalThis.registration.getNotifications();
        await globalThis.dispatch(new NotificationEvent("notificationclick", { notification, action: name }));
      }, action),
  };
}
