/** This browser as a device that gets pushes. Presence needs none of it: there its session is the device. */
import { fetchVapidKey, registerDevice, unregisterDevice } from "../../api/attention";
import type { Device } from "../../api/types";
import { readKept } from "../../ui/kept";

const KEY = "taskbeacon.device";

/** What the browser gets pushes by. */
const subscriptionNow = async () =>
  (await navigator.serviceWorker.getRegistration("/console/"))?.pushManager?.getSubscription();

const read = () => readKept<{ id: string; token: string }>(localStorage, KEY);

export const PLATFORMS = { ios: "iPhone or iPad", android: "Android device", web: "Browser" } as const;

export const thisDevice = (): string | null => read()?.id ?? null;

async function register(token: string): Promise<Device> {
  const before = read();
  if (before && before.token !== token) await unregisterDevice(before.token).catch(() => {});
  const device = await registerDevice(token);
  localStorage.setItem(KEY, JSON.stringify({ id: device.id, token }));
  return device;
}

export type PushSupport = "on" | "off" | "denied" | "needs_install" | "unsupported";

export async function pushSupport(): Promise<PushSupport> {
  if (!("serviceWorker" in navigator && "PushManager" in window && "Notification" in window)) {
    // iOS has web push only in a console that was added to the home screen.
    return /iPad|iPhone/.test(navigator.userAgent) ? "needs_install" : "unsupported";
  }
  if (Notification.permission === "denied") return "denied";
  return (await subscriptionNow()) ? "on" : "off";
}

/** Ask for permission (the browser wants a press for that) and become a device that gets pushes. */
export async function enablePush(): Promise<Device> {
  const key = await fetchVapidKey();
  if ((await Notification.requestPermission()) !== "granted")
    throw new Error("The browser did not allow notifications.");
  const { pushManager } = await navigator.serviceWorker.ready;
  const subscription = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  return register(JSON.stringify(subscription));
}

export async function disablePush(): Promise<void> {
  await (await subscriptionNow())?.unsubscribe();
  const known = read();
  if (known) await unregisterDevice(known.token);
  localStorage.removeItem(KEY);
}

/** Register what the browser's push service has changed. */
export async function registerAgain(): Promise<void> {
  const known = read();
  if (!known) return;
  const subscription = await subscriptionNow();
  const token = JSON.stringify(subscription ?? null);
  if (subscription && token !== known.token) await register(token);
}
