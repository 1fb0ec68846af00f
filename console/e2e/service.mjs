// An API beside that of the stack, on the same servers: to be killed.
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { base, program, settings } from "./browser.mjs";

const POLL = 100;

/** Start an API, and return it when it is ready. */
export async function startApi() {
  const url = new URL(base);
  url.port = await freePort();
  let api = await start(url);
  return {
    url: url.href,
    /** End it as a machine does that fails. */
    kill: () => api.kill("SIGKILL"),
    /** Start it again, at its address. */
    async revive() {
      api = await start(url);
    },
    stop: () => api.kill("SIGTERM"),
  };
}

async function start({ origin, port }) {
  const api = spawn(program, ["serve", "--port", port], {
    env: { ...process.env, ...settings },
    stdio: "ignore",
  });
  while (!(await isReady(origin))) {
    if (api.exitCode !== null) throw new Error(`the API ended with ${api.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, POLL));
  }
  return api;
}

async function isReady(origin) {
  try {
    return (await fetch(`${origin}/readyz`)).ok;
  } catch {
    return false;
  }
}

function freePort() {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
