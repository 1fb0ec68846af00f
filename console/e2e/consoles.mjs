// Measures the API while 50 consoles show a run on which an agent waits, and while none is open, in turns.
//
// usage: node e2e/consoles.mjs; needs a stack with a worker (`make run`), and CONSOLE_URL. What one page asks for is
// recorded in Chromium and then sent by 50 clients of this process: 50 browsers would take the processors from the API.
import { call } from "./api.mjs";
import { base, launch, openPage, stack } from "./browser.mjs";

const CONSOLES = 50;
const WINDOW_MS = 20_000;
const ROUNDS = 6;
const REQUESTS = 400;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const quantile = (values, part) =>
  values.toSorted((one, other) => one - other)[Math.floor(values.length * part)];

/** Return the streams that a page holds, and what it asks for in a while, with the time of each. */
async function record(page, address) {
  const [streams, asked] = [[], []];
  let began = Number.POSITIVE_INFINITY;
  page.on("request", async (request) => {
    if (!request.url().includes("/api/")) return;
    const at = performance.now() - began;
    const [url, method, body] = [request.url(), request.method(), request.postData() ?? undefined];
    const headers = await request.allHeaders();
    const own = Object.entries(headers).filter(
      ([name]) => !name.startsWith(":") && name !== "content-length",
    );
    const one = { at, url, method, body, headers: Object.fromEntries(own) };
    if (/stream/.test(url)) streams.push(one);
    else if (at >= 0) asked.push(one);
  });
  await page.goto(address);
  await page.getByRole("complementary", { name: "Changes" }).getByText("Live").waitFor();
  await pause(3000);
  began = performance.now();
  await pause(WINDOW_MS);
  return { streams, asked };
}

/** Be one console until the signal comes. */
function open({ streams, asked }, signal) {
  const send = async ({ url, method, body, headers }) => {
    try {
      const answer = await fetch(url, { method, body, headers, signal });
      for await (const _ of answer.body ?? []) if (signal.aborted) return;
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  };
  for (const stream of streams) void send(stream);
  const shift = Math.random() * WINDOW_MS;
  for (const one of asked) {
    let timer = setTimeout(
      function again() {
        void send(one);
        timer = setTimeout(again, WINDOW_MS);
      },
      (one.at + shift) % WINDOW_MS,
    );
    signal.addEventListener("abort", () => clearTimeout(timer));
  }
}

async function latencies() {
  const spent = [];
  for (let count = 0; count < REQUESTS; count += 1) {
    const began = performance.now();
    const answer = await fetch(`${stack.base_url}/api/projects/@current/tasks/?limit=20`, {
      headers: { Authorization: `Bearer ${stack.api_key}` },
    });
    await answer.arrayBuffer();
    spent.push(performance.now() - began);
    await pause(5);
  }
  return spent;
}

const task = await call("/tasks/", {
  title: "Load: consoles",
  description: "```sh\necho made > made.txt\n```\n```ask options=go\nReady?\n```",
});
await call(`/tasks/${task.id}/run/`, { mode: "interactive" });
const browser = await launch();
const page = await openPage(browser);
const recorded = await record(page, `${base}/projects/1/tasks/${task.id}?pane=changes`);
await browser.close();
console.log(
  `a console holds ${recorded.streams.length} streams and asks ${recorded.asked.length} times in ${WINDOW_MS / 1000} s`,
);
const none = [];
const many = [];
for (let round = 0; round < ROUNDS; round += 1) {
  none.push(...(await latencies()));
  const closing = new AbortController();
  for (let count = 0; count < CONSOLES; count += 1) open(recorded, closing.signal);
  await pause(3000);
  many.push(...(await latencies()));
  closing.abort();
  await pause(1000);
}
for (const [name, part] of [
  ["median", 0.5],
  ["p95", 0.95],
]) {
  const [with50, without] = [many, none].map((spent) => quantile(spent, part));
  console.log(
    `${name}: ${with50.toFixed(2)} ms with ${CONSOLES} consoles, ${without.toFixed(2)} ms with none, ratio ${(with50 / without).toFixed(2)}`,
  );
}
process.exit(0);
