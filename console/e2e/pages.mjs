// Every page is there for everybody: in both themes, at the desk and on a phone.
import { call, newRun, newTask, start } from "./api.mjs";
import { base, until } from "./browser.mjs";
import { newFile, runWithPatch } from "./outside.mjs";

const NO_TASK = "/tasks/00000000-0000-7000-8000-000000000000";

function pathsOf(ended, draft) {
  const tasks = [ended, draft].map(({ id }) => `/projects/1/tasks/${id}`);
  const panes = ["changes", "plan", "checks", "files", "notifications"].map(
    (pane) => `${tasks[0]}?pane=${pane}`,
  );
  const settings = ["devices", "notifications", "webhooks", "agents", "keys", "account"];
  return [
    "/login",
    "/projects/1/",
    "/projects/1/?search=nothing-like-it",
    "/projects/1/?new=1",
    "/projects/1/inbox",
    ...tasks,
    `/projects/1${NO_TASK}`,
    "/projects/1/settings/nope",
    ...panes,
    ...settings.map((name) => `/projects/1/settings/${name}`),
  ];
}

/** Everything once at each size and in each theme; of the other two pairs the colours, which no size changes. */
export async function everyPageIsAccessible(browser, { expect, watched, checkAccess }) {
  const draft = await call("/tasks/", { title: "Acceptance: a draft", description: "It has no run." });
  const ended = await newTask("Acceptance: every page", [
    ["file path=a.txt", "one\ntwo"],
    ["say", "Done."],
  ]);
  await start(ended, { mode: "background" });
  const paths = pathsOf(ended, draft);
  const checkAll = async (size, theme, other) => {
    const page = await watched(browser, { size, theme });
    await page.goto(base + paths.find((path) => path.endsWith(ended.id)));
    await page.getByRole("button", { name: "Start over" }).waitFor();
    for (const path of paths) {
      await page.goto(base + path);
      await page.waitForSelector("main");
      await page.waitForLoadState("load");
      await page.waitForFunction(() => !document.querySelector('[data-loading], [data-unread="true"]'));
      await checkAccess(page, `${path} ${size} ${theme}`);
      const isWide = await page.evaluate(
        () => document.documentElement.scrollWidth > document.documentElement.clientWidth,
      );
      expect(!isWide, `no sideways scrolling: ${path} ${size}`);
      await page.emulateMedia({ colorScheme: other });
      await checkAccess(page, `${path} ${size} ${other}`, ["color-contrast"]);
      await page.emulateMedia({ colorScheme: theme });
    }
    await page.context().close();
  };
  await Promise.all([checkAll("desk", "light", "dark"), checkAll("phone", "dark", "light")]);
}

export async function pageOfNoTaskStays(browser, { expect, watched }) {
  const page = await watched(browser);
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  const times = (place) => asked.filter((path) => path.includes(place)).length;
  await page.goto(`${base}/projects/1${NO_TASK}`);
  await page.getByRole("heading", { name: "There is no such task" }).waitFor();
  const before = times(NO_TASK);
  // What the page shows is asked for again when the stream of the project begins.
  await until("the second look at the inbox", () => times("/inbox") > 1);
  expect(times(NO_TASK) === before, "a task that there is not is looked for once");
  expect(await page.locator("main").isVisible(), "so its page does not vanish");
  await page.context().close();
}

/** Names of what can be pressed in the page that stand for several things. */
const repeatedNames = (page) =>
  page.evaluate(() => {
    const all = [...document.querySelectorAll("main :is(a, button, input, select, textarea)")];
    const shown = all.filter((one) => one.checkVisibility() && !one.labels?.[0]?.textContent);
    const names = shown.map((one) => one.ariaLabel ?? one.textContent.trim());
    return names.filter((name, index) => names.indexOf(name) !== index);
  });

export async function narrowAndZoomedPagesHoldAll(browser, { expect, watched, checkAccess }) {
  const asks = await newRun("Acceptance: a narrow page, with a long title that has no end in one line", [
    ["ask", "Go on?"],
  ]);
  const changed = await runWithPatch("Acceptance: narrow changes", newFile("a.txt", 2) + newFile("b.txt", 2));
  const receivers = ["/one", "/two"].map((path) => `http://127.0.0.1:9${path}`);
  const endpoints = await Promise.all(
    receivers.map((url) =>
      call("/webhook_endpoints/", { url, event_types: ["task.deleted"], description: "" }),
    ),
  );
  const paths = [
    "/projects/1/",
    "/projects/1/?new=1",
    "/projects/1/inbox",
    `/projects/1/tasks/${asks.id}`,
    "/projects/1/settings/notifications",
    "/projects/1/settings/webhooks",
    "/projects/1/settings/keys",
    `/projects/1${changed.path}?pane=changes`,
  ];
  for (const [what, options] of [
    ["320 px", { viewport: { width: 320, height: 640 } }],
    ["360 px", { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true }],
    ["200 % zoom", { viewport: { width: 720, height: 450 }, deviceScaleFactor: 2 }],
    ["forced colours", { forcedColors: "active" }],
  ]) {
    const page = await watched(browser, options);
    for (const path of paths) {
      await page.goto(base + path);
      await page.waitForSelector("main");
      await page.waitForFunction(() => !document.querySelector('[data-loading], [data-unread="true"]'));
      const isWide = await page.evaluate(
        () => document.documentElement.scrollWidth > document.documentElement.clientWidth,
      );
      expect(!isWide, `no sideways scrolling: ${path} ${what}`);
      const cut = await page.evaluate(() =>
        [...document.querySelectorAll("nav")].flatMap((nav) =>
          nav.scrollWidth > nav.clientWidth ? nav.ariaLabel : [],
        ),
      );
      // At 320 px, which is that of zoomed pages, the ways to the panes may be scrolled.
      expect(
        what === "320 px" || cut.length === 0,
        `all ways are in sight: ${path} ${what} ${cut.join(", ")}`,
      );
      const repeated = await repeatedNames(page);
      expect(repeated.length === 0, `each name stands for one thing: ${path} ${what} ${repeated.join(", ")}`);
      if (!options.forcedColors) continue;
      await checkAccess(page, `${path} ${what}`);
      // As in the moment in which another question comes above.
      const cards = await page.locator("[data-unread]").all();
      for (const card of cards)
        await card.evaluate(({ dataset }) => Object.assign(dataset, { unread: true }));
      if (cards.length) await checkAccess(page, `unread: ${path} ${what}`, ["color-contrast"]);
    }
    await page.context().close();
  }
  for (const { id } of endpoints) await call(`/webhook_endpoints/${id}/`, null, "DELETE");
}

/** A run that a hundred newer ones have pushed off the list can still be opened, and the others keep their numbers. */
export async function runsBeyondTheListAreShown(browser, { expect, watched }) {
  const { id } = await call("/tasks/", { title: "Acceptance: many runs", description: "Again and again." });
  const oldest = await call(`/tasks/${id}/runs/`, { environment: "local" });
  for (let number = 2; number <= 101; number += 1) await call(`/tasks/${id}/runs/`, { environment: "local" });
  const page = await watched(browser);
  const shown = () => page.getByRole("combobox", { name: "Run" }).locator("option:checked").textContent();
  await page.goto(`${base}/projects/1/tasks/${id}`);
  await page.getByRole("option", { name: "Run 101 (latest)" }).waitFor({ state: "attached" });
  expect((await shown()) === "Run 101 (latest)", "the newest of 101 runs has the number 101");
  await page.goto(`${base}/projects/1/tasks/${id}/runs/${oldest.id}`);
  await page.getByRole("option", { name: "An earlier run" }).waitFor({ state: "attached" });
  expect((await shown()) === "An earlier run", "the oldest of 101 runs is shown");
  await page.goto(`${base}/projects/1/tasks/${id}/runs/${id}`);
  await page.getByText("There is no such run").waitFor();
  await page.context().close();
}

export async function narrowRowsKeepTheirRepository(browser, { expect, watched }) {
  const title = `Acceptance: a row ${Date.now()}`;
  const repository = "acme/notes-about-prices";
  const { id } = await call("/tasks/", { title, description: "It fails.", repository });
  const run = await call(`/tasks/${id}/runs/`, { environment: "local" });
  const failed = { status: "failed", error_message: "The clone failed, for a reason that has many words." };
  await call(`/tasks/${id}/runs/${run.id}/`, failed, "PATCH");
  for (const width of [360, 1440]) {
    const page = await watched(browser, { viewport: { width, height: 740 } });
    await page.goto(`${base}/projects/1/?search=${encodeURIComponent(title)}`);
    const row = page.locator(`main [data-task="${id}"]`);
    const rest = await row
      .getByText(repository)
      .evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth);
    expect(rest <= 0, `a row shows all of its repository (${width} px)`);
    expect(await row.getByText("Failed", { exact: true }).isVisible(), "and why its run ended");
    const { height } = await row.boundingBox();
    expect(height <= (width < 400 ? 78 : 36), `and is low (${height} px at ${width})`);
    await page.context().close();
  }
}

/** On a phone, the header leaves the page to the run, whatever there is to be said of it. */
export async function phoneHeaderIsLow(browser, { expect, watched }) {
  const title =
    "Acceptance: a low header of a task whose title has no end in one line of a phone, nor in two";
  const { id } = await call("/tasks/", {
    title,
    description: "It fails.",
    repository: "acme/notes-about-prices",
  });
  for (let number = 0; number < 2; number += 1) {
    const run = await call(`/tasks/${id}/runs/`, { environment: "local" });
    const failed = { status: "failed", error_message: "The clone failed, for a reason that has many words." };
    await call(`/tasks/${id}/runs/${run.id}/`, failed, "PATCH");
  }
  const page = await watched(browser, { size: "phone" });
  await page.goto(`${base}/projects/1/tasks/${id}`);
  const header = page.locator("main > header");
  await header.getByRole("combobox", { name: "Run" }).waitFor();
  const { height } = await header.boundingBox();
  expect(height <= 96, `the header of a phone is low: ${height} px`);
  const parts = {
    "the way back": header.getByRole("link", { name: "Back to the tasks" }),
    "its state": header.getByText("Failed", { exact: true }),
    "its run": header.getByRole("combobox", { name: "Run" }),
    "the menu": header.getByRole("button", { name: "More" }),
  };
  for (const [name, part] of Object.entries(parts)) {
    const { x, width } = await part.boundingBox();
    const middle = x + width / 2;
    expect(middle > 0 && middle < 390, `and has in sight: ${name} (${middle})`);
  }
  await page.context().close();
}

/** Each ending says what has happened, and what can be done next. */
export async function endingsSayWhatIsNext(browser, { expect, watched }) {
  await newTask("Acceptance: an ending", [["say", "Hi."]]);
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/?search=nothing-like-it&status=failed`);
  await page.getByRole("heading", { name: "No task matches" }).waitFor();
  await page.getByRole("button", { name: "Remove the filters" }).click();
  await page.getByRole("link", { name: "Acceptance: an ending" }).first().waitFor();
  expect(new URL(page.url()).search === "", "filters that nothing matches are removed by one press");

  await page.getByRole("button", { name: "New task" }).first().click();
  const dialog = page.getByRole("dialog", { name: "New task" });
  const start = dialog.getByRole("button", { name: "Start" });
  await dialog.getByText("Say what the agent shall do.").waitFor();
  expect((await start.getAttribute("aria-disabled")) === "true", "a button that does nothing says why");
  const { y } = await start.boundingBox();
  await dialog.getByLabel("What shall the agent do?").fill("Something.");
  await dialog.getByText("Say what the agent shall do.").waitFor({ state: "detached" });
  expect((await start.boundingBox()).y === y, "and stays where it is when it can be pressed");
  await dialog.getByLabel("What shall the agent do?").fill("");
  await page.keyboard.press("Escape");

  const empty = { count: 0, next: null, previous: null, results: [], open_count: 0 };
  await page.route(/\/inbox\/?\?/, (route) => route.fulfill({ json: empty }));
  await page.goto(`${base}/projects/1/inbox`);
  await page.getByRole("heading", { name: "Nothing needs you" }).waitFor();
  await page.getByRole("link", { name: "All tasks" }).click();
  await page.getByRole("heading", { level: 1, name: "Tasks" }).waitFor();
  expect(true, "an empty inbox leads to the tasks");

  const refuse = (route) => route.fulfill({ status: 400, json: { detail: "No list today." } });
  await page.route(/\/tasks\?/, refuse);
  await page.reload();
  await page.getByRole("alert").getByText("No list today.").waitFor();
  // The page may ask again by itself first; the button is gone then.
  const again = await page.getByRole("button", { name: "Try again" }).elementHandle();
  await page.unroute(/\/tasks\?/, refuse);
  await again.evaluate((button) => button.click());
  await page.getByRole("link", { name: "Acceptance: an ending" }).first().waitFor();
  expect(true, "a list that could not be loaded says why, and is loaded by one press");
  await page.context().close();
}

export async function unknownSettingsAreNoPage(browser, { expect, watched }) {
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/settings/nope`);
  await page.getByRole("heading", { name: "There is no such page" }).waitFor();
  await page.getByRole("link", { name: "Devices" }).click();
  await page.locator('[aria-current="page"]', { hasText: "Devices" }).waitFor();
  expect(true, "an unknown page of the settings says so, beside the ways to the others");
  await page.context().close();
}

export async function shortAddressesLeadOn(browser, { expect, watched }) {
  const { id } = await newTask("Acceptance: a short address", [["say", "Hi."]]);
  const page = await watched(browser);
  for (const [short, place, heading] of [
    ["/projects", "/projects/1/", "Tasks"],
    ["/tasks/", "/projects/1/", "Tasks"],
    ["/inbox", "/projects/1/inbox", "Inbox"],
    ["/settings/webhooks", "/projects/1/settings/webhooks", "Settings"],
    ["/projects/1/tasks", "/projects/1/tasks", "Tasks"],
    [`/projects/1/tasks/${id}/runs`, `/projects/1/tasks/${id}/runs`, "Acceptance: a short address"],
    ["/nope", "/nope", "There is no such page"],
    ["/settings/a/b", "/settings/a/b", "There is no such page"],
  ]) {
    await page.goto(base + short);
    await page.waitForURL(base + place);
    await page.getByRole("heading", { name: heading }).first().waitFor();
    expect(true, `${short} leads to ${place}: ${heading}`);
  }
  await page.context().close();
}

export async function tasksStandInTheOrderOfTheirTimes(browser, { expect, watched }) {
  const title = `Acceptance: the latest activity ${Date.now()}`;
  const older = await newTask(title, [["say", "One."]]);
  const newer = await newTask(title, [["say", "Two."]]);
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/?search=${encodeURIComponent(title)}`);
  const order = ([one, other]) =>
    page.waitForFunction((ids) => {
      const rows = [...document.querySelectorAll("main [data-task]")].map(({ dataset }) => dataset.task);
      return rows.join() === ids;
    }, `${one.id},${other.id}`);
  await order([newer, older]);
  await call(`/tasks/${older.id}/`, { repository: "acme/shop" }, "PATCH");
  await order([older, newer]);
  const { last_activity_at } = await call(`/tasks/${older.id}/`);
  const shown = await page.locator(`[data-task="${older.id}"] time`).getAttribute("datetime");
  expect(shown === last_activity_at, "a task that has changed stands first, with the time of its change");
  await page.context().close();
}

export async function endOfATurnIsNoDuration(browser, { expect, watched }) {
  const { id } = await newRun("Acceptance: an old turn", [["say", "Hello."]]);
  const page = await watched(browser);
  await page.clock.install();
  await page.goto(`${base}/projects/1/tasks/${id}`);
  await page.getByText("Turn ended now").waitFor();
  await page.clock.fastForward("02:30");
  await page.getByText("Turn ended 2m ago").waitFor();
  expect(true, "a turn says how long ago it ended");
  await page.context().close();
}
