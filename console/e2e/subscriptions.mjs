// A browser whose push service renews its subscription while nobody looks at the console.
//
// What is real: the worker that the service serves, in Chromium, with the session's cookie; the event's class; the service,
// which sends a push to the new address. What the scene stands in for: the push service and, since a browser renews when its
// push service says so and no tool of a browser can do that, the two subscriptions and the moment of the event.
import { newRun } from "./api.mjs";
import { base, until } from "./browser.mjs";
import { devices, openPushService, unregister, withDevice } from "./pushservice.mjs";
import { openBrowser } from "./worker.mjs";

const { origin } = new URL(base);

/**
 * Tell the worker that a subscription has changed, as the browser does; return the key that the worker has subscribed with
 * by itself, which it must where the browser hands over nothing.
 */
function renew(worker, before, after) {
  return worker.evaluate(
    async ([old, renewed]) => {
      const event = new PushSubscriptionChangeEvent("pushsubscriptionchange");
      let key = null;
      if (old) {
        Object.defineProperty(event, "oldSubscription", { value: JSON.parse(old) });
        Object.defineProperty(event, "newSubscription", { value: JSON.parse(renewed) });
      } else {
        globalThis.PushManager.prototype.subscribe = async ({ applicationServerKey, userVisibleOnly }) => {
          key = userVisibleOnly ? applicationServerKey : null;
          return JSON.parse(renewed);
        };
      }
      await globalThis.dispatch(event);
      return key;
    },
    [before, after],
  );
}

export async function renewedSubscriptionIsRegistered(browser, { expect }) {
  await withDevice(async ({ token, id, pushes: former }) => {
    const services = [await openPushService(), await openPushService()];
    const { page, worker } = await openBrowser(browser, "/projects/1/inbox");
    // Nobody has the console open: the worker is alone.
    await page.goto("about:blank");
    try {
      const before = await devices();
      await renew(worker, token, services[0].token);
      const after = await devices();
      expect(
        !after.some((device) => device.id === id) && after.length === before.length,
        "the service has the new subscription in the place of the old one",
      );
      const task = await newRun("Acceptance: renewed", [["ask", "Here?"]]);
      await until("the push", () => services[0].pushes.some(({ data }) => data?.taskId === task.id));
      expect(!former.some(({ data }) => data?.taskId === task.id), "and pushes go to the new one only");

      await renew(worker, services[0].token, services[0].token);
      expect(
        (await devices()).length === before.length,
        "a browser that gives the same subscription again stays registered",
      );

      const found = await page.request.get(`${origin}/api/push/vapid_public_key`);
      const { public_key: wanted } = await found.json();
      const key = await renew(worker, null, services[1].token);
      expect(
        key === wanted,
        `a browser that hands over nothing is subscribed again, with the key of the service`,
      );
      const last = await newRun("Acceptance: subscribed again", [["ask", "And here?"]]);
      await until("the push", () => services[1].pushes.some(({ data }) => data?.taskId === last.id));
      expect(true, "which pushes reach, too");
    } finally {
      for (const service of services) {
        await unregister(service.token);
        service.close();
      }
    }
    await page.context().close();
  });
}
