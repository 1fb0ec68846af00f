// Chromium as Debian has it; no browser is downloaded.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { chromium, request } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const home = process.env.TASKBEACON_HOME ?? join(import.meta.dirname, "../../.taskbeacon");
const read = (name) => JSON.parse(readFileSync(join(home, name), "utf8"));

export const base = process.env.CONSOLE_URL ?? "http://127.0.0.1:4173/console";
export const stack = read("dev.json");
/** The settings with which another process joins the stack. */
export const settings = read("environment.json");
export const program =
  process.env.TASKBEACON_PROGRAM ?? join(import.meta.dirname, "../../.venv/bin/taskbeacon");

// A busy machine is slow, not wrong: scenes wait for what must come, however long it takes.
const PATIENCE = 180_000;
const POLL = 100;

/** Return what `find` returns once that is true. */
export async function until(what, find, patience = PATIENCE) {
  const began = performance.now();
  for (;;) {
    const found = await find();
    if (found) return found;
    if (performance.now() - began > patience) throw new Error(`${what} did not come`);
    await new Promise((resolve) => setTimeout(resolve, POLL));
  }
}

/** Hold back the answer to the first request of an address until what is returned is called. */
export async function holdBack(page, address) {
  let release;
  const released = new Promise((resolve) => {
    release = resolve;
  });
  const answer = async (route) => {
    const response = await route.fetch();
    await released;
    await route.fulfill({ response });
  };
  await page.route(address, answer, { times: 1 });
  return release;
}

/** The card of a question that takes answers; one that has just appeared takes none. */
export const cardOf = (page, title) =>
  page.locator('[data-unread="false"]').filter({ has: page.getByRole("heading", { name: title }) });

export const SIZES = { desk: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

export async function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: FLAGS,
    timeout: PATIENCE,
  });
}

const signedIn = new Map();

/** Return the cookies of one session for each key, which all its pages share: a scene that counts sessions sees none begin. */
function cookies(key) {
  if (!signedIn.has(key)) signedIn.set(key, signIn(key));
  return signedIn.get(key);
}

async function signIn(key) {
  const session = new URL("/api/console/session/", base).href;
  const requests = await request.newContext({ timeout: PATIENCE });
  const answer = await requests.post(session, { data: { api_key: key } });
  if (!answer.ok()) throw new Error(`signing in: ${answer.status()} ${await answer.text()}`);
  return (await requests.storageState()).cookies;
}

/** Open a page of a browser of its own, signed in with a key unless `isSignedOut`. */
export async function openPage(
  browser,
  { size = "desk", theme = "light", isSignedOut = false, key = stack.api_key, ...options } = {},
) {
  const isPhone = size === "phone";
  const context = await browser.newContext({
    viewport: SIZES[size],
    colorScheme: theme,
    hasTouch: isPhone,
    isMobile: isPhone,
    ...options,
  });
  context.setDefaultTimeout(PATIENCE);
  if (!isSignedOut) await context.addCookies(await cookies(key));
  return context.newPage();
}
