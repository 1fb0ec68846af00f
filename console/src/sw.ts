/**
 * The service worker: shows pushes, takes them back, and opens or focuses the console.
 *
 * It has no handler for `fetch`: answers of the API are never kept, and the page comes from the service.
 */
export {};

declare const self: ServiceWorkerGlobalScope;

interface Action {
  action: string;
  title: string;
  navigate?: string;
}

/** The declarative form, which some browsers show by themselves. */
interface Push {
  notification?: {
    title: string;
    body?: string;
    navigate?: string;
    tag?: string;
    silent?: boolean;
    renotify?: boolean;
    actions?: Action[];
    data?: Record<string, unknown>;
  };
  app_badge?: number;
}

interface Shown {
  navigate?: string | undefined;
  actions: Action[];
  taskId?: unknown;
}

const SCOPE = "/console/";
const MARKS = "taskbeacon.marks";
const MOST_MARKS = 100;

self.addEventListener("install", () => void self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => {
  let push: Push = {};
  try {
    push = event.data?.json() ?? {};
  } catch {
    // Shown as a push without a text: browsers want one for each.
  }
  event.waitUntil(Promise.all([inOrder(() => show(push)), badge(push.app_badge)]));
});

let previous: Promise<void> = Promise.resolve();

/** Do something after what came before it: a push behind its retraction must find the mark of that. */
function inOrder(work: () => Promise<void>): Promise<void> {
  const result = previous.then(work);
  previous = result.catch(() => {});
  return result;
}

async function badge(count: number | undefined): Promise<void> {
  if (typeof count !== "number" || !("setAppBadge" in navigator)) return;
  await (count > 0 ? navigator.setAppBadge(count) : navigator.clearAppBadge());
}

/** Whether a newer push with this tag came before, even if its notice was closed since. */
async function isLate(tag: string, seq: number): Promise<boolean> {
  const marks = await caches.open(MARKS);
  const key = `${SCOPE}marks/${encodeURIComponent(tag)}`;
  const mark = Number(await (await marks.match(key))?.text());
  if (mark > seq) return true;
  // Delete first: a replaced key would keep its place, and the oldest places are removed below.
  await marks.delete(key);
  await marks.put(key, new Response(String(seq)));
  for (const old of (await marks.keys()).slice(0, -MOST_MARKS)) await marks.delete(old);
  return false;
}

/** Show a push. What takes a notice back closes it before a person who looks, and else replaces it, without a sound. */
async function show({ notification: said }: Push): Promise<void> {
  const tag = said?.tag ?? "";
  const seq = Number(said?.data?.seq) || 0;
  // A late push must not replace what is newer.
  if (tag && seq && (await isLate(tag, seq))) return;
  // Browsers ask for no notice for a push while a person looks at the console.
  const isClear = tag !== "" && said?.data?.kind === "clear";
  const windows = isClear ? await self.clients.matchAll({ type: "window" }) : [];
  if (windows.some(({ focused }) => focused)) {
    for (const shown of await self.registration.getNotifications({ tag })) shown.close();
    return;
  }
  const actions = (said?.actions ?? []).slice(0, 2);
  const data: Shown = { navigate: said?.navigate, actions, taskId: said?.data?.taskId };
  const options: NotificationOptions & { renotify?: boolean; actions?: Action[] } = {
    body: said?.body ?? "",
    tag,
    data,
    icon: `${SCOPE}icon-192.png`,
    silent: said?.silent ?? false,
    // Only what has a tag can be said again.
    renotify: tag !== "" && (said?.renotify ?? false),
    actions: actions.map(({ action, title }) => ({ action, title })),
  };
  await self.registration.showNotification(said?.title ?? "Taskbeacon", options);
}

self.addEventListener("message", (event) => event.waitUntil(inOrder(() => close(event.data))));

/** Here and in order, not by a page: Chromium forgets a notice if the list is read while it is being shown. */
async function close({ task, question }: { task?: string; question?: string }): Promise<void> {
  for (const shown of await self.registration.getNotifications())
    if (question ? shown.tag === `q:${question}` : shown.data?.taskId === task) shown.close();
}

self.addEventListener("notificationclick", (event) => {
  const data = (event.notification.data ?? { actions: [] }) as Shown;
  event.notification.close();
  const action = data.actions.find((one) => one.action === event.action);
  event.waitUntil(action?.navigate ? act(action.navigate, data) : open(data));
});

/** Answer by the token in the action's address; what cannot be answered so is shown instead. */
async function act(navigate: string, data: Shown): Promise<void> {
  const token = new URL(navigate, self.location.origin).pathname.split("/").filter(Boolean).at(-1) ?? "";
  try {
    const answer = await fetch(`/api/actions/${encodeURIComponent(token)}`, { method: "POST" });
    if (answer.ok) return;
  } catch {
    // Offline: the page says more than a second notice would.
  }
  await open(data);
}

async function open(data: Shown): Promise<void> {
  const task = typeof data.taskId === "string" ? data.taskId : null;
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const consoles = windows.filter((one) => new URL(one.url).pathname.startsWith(SCOPE));
  const onTask = consoles.find((one) => task !== null && one.url.includes(`/tasks/${task}`));
  const target = onTask ?? consoles[0];
  const address = task ? `${SCOPE}tasks/${task}` : (data.navigate ?? SCOPE);
  if (!target) return void (await self.clients.openWindow(address));
  await target.focus();
  if (!onTask && task) target.postMessage({ type: "open", address });
}

self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(renew(event)));

/** Register the new subscription in the place of the old one. Pages that start find it, and repeat what fails here. */
async function renew({ oldSubscription, newSubscription }: PushSubscriptionChangeEvent): Promise<void> {
  const subscription = newSubscription ?? (await subscribeAgain(oldSubscription));
  const isRegistered = await sendToken("", { token: JSON.stringify(subscription), platform: "web" });
  // Only then: the service forgets a subscription that is over by itself, when it sends a push to it. A browser may also
  // say that one has changed and give the same again.
  if (isRegistered && oldSubscription && oldSubscription.endpoint !== subscription.endpoint)
    await sendToken("unregister/", { token: JSON.stringify(oldSubscription) });
  for (const page of await self.clients.matchAll({ type: "window", includeUncontrolled: true }))
    page.postMessage({ type: "subscription" });
}

/** Whether the service took it. */
async function sendToken(path: string, body: Record<string, string>): Promise<boolean> {
  const answer = await fetch(`/api/users/@me/push_tokens/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  }).catch(() => null);
  return answer?.ok ?? false;
}

async function subscribeAgain(before: PushSubscription | null): Promise<PushSubscription> {
  const known = before?.options.applicationServerKey;
  const key = known ?? (await (await fetch("/api/push/vapid_public_key")).json()).public_key;
  return self.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
}
