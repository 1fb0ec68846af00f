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
  seq?: unknown;
}

const SCOPE = "/console/";

self.addEventListener("install", () => void self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => {
  let push: Push = {};
  try {
    push = event.data?.json() ?? {};
  } catch {
    // Shown as a push without a text: browsers want one for each.
  }
  event.waitUntil(Promise.all([show(push), badge(push.app_badge)]));
});

async function badge(count: number | undefined): Promise<void> {
  if (typeof count !== "number" || !("setAppBadge" in navigator)) return;
  await (count > 0 ? navigator.setAppBadge(count) : navigator.clearAppBadge());
}

const seqOf = (data: unknown): number => Number((data as { seq?: unknown } | null)?.seq) || 0;

/** Browsers want a notice for each push: what takes one back replaces it, without a sound. */
async function show({ notification: said }: Push): Promise<void> {
  const tag = said?.tag ?? "";
  const shown = tag ? await self.registration.getNotifications({ tag }) : [];
  const seq = seqOf(said?.data);
  // A late push must not replace what is newer.
  if (seq && shown.some((one) => seqOf(one.data) > seq)) return;
  const actions = (said?.actions ?? []).slice(0, 2);
  const data: Shown = { navigate: said?.navigate, actions, taskId: said?.data?.taskId, seq };
  const options: NotificationOptions & { renotify?: boolean; actions?: { action: string; title: string }[] } =
    {
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
  if (!target) {
    await self.clients.openWindow(address);
    return;
  }
  await target.focus();
  if (!onTask && task) target.postMessage({ type: "open", address });
}

self.addEventListener("pushsubscriptionchange", (event) => {
  const change = event as ExtendableEvent & { oldSubscription?: PushSubscription };
  change.waitUntil(renew(change.oldSubscription));
});

/** Subscribe again, and have an open page register it: the worker has no session of its own. */
async function renew(before: PushSubscription | undefined): Promise<void> {
  const key = before?.options.applicationServerKey;
  if (!key) return;
  const subscription = await self.registration.pushManager.subscribe({
    userVisibleOnly: true,
    applicationServerKey: key,
  });
  for (const page of await self.clients.matchAll({ type: "window", includeUncontrolled: true })) {
    page.postMessage({ type: "subscription", subscription: subscription.toJSON() });
  }
}
