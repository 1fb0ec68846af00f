// A browser with its service worker, which takes pushes from the browser's own tools.
import { base, openPage } from "./browser.mjs";

const { origin } = new URL(base);

/** A browser whose worker is ready, on the page at `path`; it takes pushes and clicks. */
export async function openBrowser(browser, path) {
  const page = await openPage(browser, { permissions: ["notifications"] });
  const tools = await page.context().newCDPSession(page);
  const registered = new Promise((resolve) => {
    tools.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => {
      if (registrations.length) resolve(registrations[0].registrationId);
    });
  });
  await tools.send("ServiceWorker.enable");
  await page.goto(base + path);
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => null));
  const registrationId = await registered;
  const worker = page.context().serviceWorkers()[0] ?? (await page.context().waitForEvent("serviceworker"));
  return {
    page,
    worker,
    deliver: (push) =>
      tools.send("ServiceWorker.deliverPushMessage", { origin, registrationId, data: JSON.stringify(push) }),
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
        const event = new NotificationEvent("notificationclick", { notification, action: name });
        const pending = [];
        Object.defineProperty(event, "waitUntil", { value: (promise) => pending.push(promise) });
        globalThis.dispatchEvent(event);
        await Promise.all(pending);
      }, action),
  };
}
