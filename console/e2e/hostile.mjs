// What agents write is hostile. Each string of the corpus of src/hostile.test.tsx goes through the service and a real browser, as
// title, message, tool call, output of a terminal, name of a file and content of a diff: nothing may run, load or break out.
import { join } from "node:path";
import { runnerImport } from "vite";
import { call } from "./api.mjs";
import { base } from "./browser.mjs";

const LANES = 8;
const BATCH = 20;
const LONGEST_TITLE = 255;
const LONGEST_NAME = 200;
/** The patch that the card of a run offers, from the service itself. */
const DOWNLOAD =
  /^\/api\/projects\/\d+\/tasks\/[\da-f-]+\/runs\/[\da-f-]+\/artifacts\/download\/\?storage_path=[\w%.-]+$/;
// Only what agents' output cannot be: the page itself has its icon.
const FORBIDDEN =
  'script, iframe, object, embed, link, meta, base, style, img:not([src="/console/icon.svg"]), video, audio, form[action], svg image, svg use, math';

async function inLanes(items, work) {
  const left = [...items];
  const done = [];
  const lane = async () => {
    while (left.length) done.push(await work(left.shift()));
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return done;
}

const notification = (method, params) => ({
  type: "notification",
  timestamp: new Date().toISOString(),
  notification: { jsonrpc: "2.0", method, params },
});
const update = (fields) => notification("session/update", { sessionId: "s", update: fields });

function entriesOf(evil, index) {
  const text = { type: "text", text: evil };
  return [
    update({ sessionUpdate: "agent_message", messageId: `m${index}`, content: text }),
    update({
      sessionUpdate: "tool_call",
      toolCallId: `t${index}`,
      title: evil,
      kind: "execute",
      // A failed call is open.
      status: "failed",
      rawInput: { command: evil },
      content: [
        { type: "content", content: { type: "text", text: `\u001b[31m${evil}\u001b]8;;${evil}\u0007` } },
        { type: "diff", path: evil, oldText: evil, newText: `${evil}\n${evil}` },
      ],
    }),
  ];
}

/** The name as git writes it into a patch. */
function quoted(path) {
  if (!/["\\\u0000-\u001f\u007f]/.test(path)) return path;
  const octal = (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}`;
  return `"${path.replace(/["\\\u0000-\u001f\u007f]/g, octal)}"`;
}

function patchOf(evil, index) {
  const name = `${index}-${evil.slice(0, LONGEST_NAME)}`;
  const [before, after] = [quoted(`a/${name}`), quoted(`b/${name}`)];
  const line = evil.replace(/[\r\n]/g, " ");
  return `diff --git ${before} ${after}\n--- ${before}\n+++ ${after}\n@@ -1 +1 @@ ${line}\n-${line}\n+${line}!\n`;
}

/** A run of somebody's own machine, which has written all this. */
async function hostileRun(corpus) {
  const task = await call("/tasks/", { title: corpus[0], description: corpus.slice(0, BATCH).join("\n\n") });
  const { id } = await call(`/tasks/${task.id}/runs/`, { environment: "local" });
  const run = `/tasks/${task.id}/runs/${id}`;
  await call(`${run}/`, { status: "in_progress" }, "PATCH");
  const entries = corpus.map(entriesOf);
  for (let at = 0; at < entries.length; at += BATCH)
    await call(`${run}/append_log/`, { entries: entries.slice(at, at + BATCH).flat() });
  const content = corpus.map(patchOf).join("");
  const patch = {
    name: "changes.patch",
    type: "output",
    source: "agent",
    content,
    content_type: "text/x-diff",
  };
  await call(`${run}/artifacts/`, { artifacts: [patch] });
  await call(`${run}/`, { status: "completed" }, "PATCH");
  return task;
}

/** Return what stands in the page that must not. */
function intruders(page) {
  return page.evaluate(
    ([forbidden, download]) => {
      const elements = [...document.body.querySelectorAll(forbidden)].filter(
        (element) => !element.matches("body > script"),
      );
      const odd = [...document.body.querySelectorAll("*")].filter((element) =>
        [...element.attributes].some(({ name }) => name.startsWith("on") || name === "srcdoc"),
      );
      const links = [...document.body.querySelectorAll("main a[href]")].filter((link) => {
        const href = link.getAttribute("href");
        const isOurs = href.startsWith("/console/") || (link.download === "" && download.test(href));
        const isWeb = /^(https?|mailto):/i.test(link.protocol) && link.rel === "noopener noreferrer nofollow";
        return !isOurs && !isWeb;
      });
      return [...elements, ...odd, ...links].map((element) => element.outerHTML.slice(0, 200));
    },
    [FORBIDDEN, DOWNLOAD],
  );
}

/** Scroll an element from its end to its top, and look at all of it. */
async function lookThrough(page, element, found) {
  await element.evaluate((one) => one.scrollTo(0, one.scrollHeight));
  for (;;) {
    for (const intruder of await intruders(page)) found.add(intruder);
    const isAtTop = await element.evaluate(async (one) => {
      one.scrollTop -= one.clientHeight;
      await new Promise(requestAnimationFrame);
      await new Promise(requestAnimationFrame);
      return one.scrollTop === 0;
    });
    if (isAtTop) break;
  }
  for (const intruder of await intruders(page)) found.add(intruder);
}

export async function hostileOutputDoesNothing(browser, { expect, watched }) {
  const path = join(import.meta.dirname, "corpus.ts");
  const { module } = await runnerImport(path);
  // The service takes no text that its database could not keep.
  const corpus = module.CORPUS.filter((evil) => evil.isWellFormed() && !evil.includes("\0"));
  expect(corpus.length >= 200, `${corpus.length} hostile strings`);
  const task = await hostileRun(corpus);
  const titles = corpus.map((evil) => evil.slice(0, LONGEST_TITLE));
  const titled = await inLanes(titles, (title) => call("/tasks/", { title, description: title }));

  const page = await watched(browser);
  await page.addInitScript(() => {
    const alarm = (text) => {
      document.documentElement.dataset.ran = String(text);
    };
    for (const name of ["alert", "confirm", "prompt", "evil"]) globalThis[name] = alarm;
    document.addEventListener("securitypolicyviolation", ({ blockedURI }) => alarm(blockedURI));
  });
  const found = new Set();
  const ran = () => page.evaluate(() => document.documentElement.dataset.ran ?? null);

  await page.goto(`${base}/projects/1/tasks/${task.id}`);
  const log = page.getByRole("log");
  await log.getByText("hasOwnProperty").first().waitFor();
  await page.getByText(`${corpus.length} files`).waitFor();
  await lookThrough(page, log, found);
  expect(
    (await ran()) === null && found.size === 0,
    `a transcript of it ${[...found].slice(0, 3)} ${await ran()}`,
  );
  await page.waitForFunction(
    (count) => document.querySelectorAll("[data-file]").length === count,
    corpus.length,
  );
  expect(true, "every name of a file is there, in the changes");
  await lookThrough(page, page.getByRole("group", { name: "Diffs" }), found);
  expect(
    (await ran()) === null && found.size === 0,
    `changes of it ${[...found].slice(0, 3)} ${await ran()}`,
  );

  await page.goto(`${base}/projects/1/`);
  // Looks and clicks in one step of the page: the button is disabled while a
  // page loads and gone after the last one, so a click from here may wait for ever.
  await page.waitForFunction(
    (id) => {
      if (document.querySelector(`[data-task="${id}"]`)) return true;
      const buttons = [...document.querySelectorAll("main button:enabled")];
      buttons.find(({ textContent }) => textContent === "Show more")?.click();
      return false;
    },
    titled[0].id,
    { polling: 50 },
  );
  for (const intruder of await intruders(page)) found.add(intruder);
  expect((await ran()) === null && found.size === 0, `titles of it ${[...found].slice(0, 3)} ${await ran()}`);
  expect(page.problems.length === 0, `no problems ${page.problems.join("; ").slice(0, 300)}`);
  await page.context().close();
  await inLanes([task, ...titled], ({ id }) => call(`/tasks/${id}/`, null, "DELETE"));
}
