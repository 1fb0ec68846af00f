// Signing in and out, as a person does it.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { base, program, stack } from "./browser.mjs";

/** A login link, as `taskbeacon console` prints it, for the address that is tested. */
async function newLink() {
  const { stdout: printed } = await promisify(execFile)(program, ["console"]);
  return `${base}/login${new URL(printed.trim()).hash}`;
}

export async function personSignsInAndOut(browser, { expect, watched }) {
  const page = await watched(browser, { isSignedOut: true });
  const heading = page.getByRole("heading", { name: "Sign in to Taskbeacon" });
  await page.goto(`${base}/projects/1/inbox`);
  await heading.waitFor();
  await page.getByLabel("API key").fill("phx_nothing");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").getByText("This key is wrong, expired or revoked.").waitFor();
  expect(await heading.isVisible(), "a wrong key is refused with a reason");
  await page.getByLabel("API key").fill(stack.api_key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Inbox" }).waitFor();
  expect(page.url().endsWith("/inbox"), "a key signs in, on the page that was asked for");
  await page.reload();
  await page.getByRole("heading", { name: "Inbox" }).waitFor();
  expect(true, "the session outlives the page");

  const other = await watched(browser, { isSignedOut: true });
  const link = await newLink();
  await other.goto(link);
  await other.getByRole("heading", { name: "Tasks" }).waitFor();
  expect(!other.url().includes("#"), "a login link signs in, and its code leaves the address");
  const third = await watched(browser, { isSignedOut: true });
  await third.goto(link);
  await third.getByRole("alert").waitFor();
  expect(true, "a login link works once");
  await third.context().close();
  await page.goto(link);
  await page.getByRole("heading", { name: "Tasks" }).waitFor();
  expect(!page.url().includes("/login"), "a used link leads a browser that is signed in on to the console");

  await page.goto(`${base}/projects/1/settings/account`);
  const rows = page.getByRole("listitem").filter({ hasText: "last used" });
  await rows.first().waitFor();
  const before = await rows.count();
  expect((await rows.filter({ hasText: "(this one)" }).count()) === 1, "the list marks the session in use");
  // The newest of the others is the one that the link opened.
  const cookie = (await other.context().cookies()).find(({ name }) => name.endsWith("taskbeacon"));
  expect(cookie.httpOnly && cookie.sameSite === "Lax", "scripts cannot read the cookie");
  await rows.filter({ hasNotText: "(this one)" }).getByRole("button", { name: "End" }).first().click();
  await rows.nth(before - 1).waitFor({ state: "detached" });
  await other.goto(`${base}/projects/1/inbox`);
  await other.getByRole("heading", { name: "Sign in to Taskbeacon" }).waitFor();
  expect(true, "a session that was ended elsewhere asks to sign in");
  await other.context().close();

  await page.getByRole("button", { name: "Sign out" }).click();
  await heading.waitFor();
  await page.goto(`${base}/projects/1/`);
  await heading.waitFor();
  expect(true, "signing out ends the session");
  expect(page.problems.length === 0, `no problems ${page.problems.join("; ")}`);
  await page.context().close();
}

/** `taskbeacon login` in a configuration of its own: the code that it shows, and how it ends. */
async function newTerminal(home) {
  const env = { ...process.env, XDG_CONFIG_HOME: home };
  const terminal = spawn(program, ["login", "--url", new URL(base).origin], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines = [];
  const ended = once(terminal, "close").then(([status]) => ({ status, last: lines.at(-1) }));
  const output = createInterface({ input: terminal.stderr });
  output.on("line", (line) => lines.push(line));
  const [line] = await once(output, "line");
  return { code: /[A-Z]{4}-[A-Z]{4}$/.exec(line)[0], ended, stop: () => terminal.kill() };
}

export async function personSignsATerminalIn(browser, { expect, watched, checkAccess }) {
  const home = await mkdtemp(join(tmpdir(), "taskbeacon-terminal-"));
  const terminals = [];
  const begin = async () => {
    const terminal = await newTerminal(home);
    terminals.push(terminal);
    return terminal;
  };
  try {
    const page = await watched(browser);
    const enter = async (code) => {
      await page.goto(`${base}/device`);
      await page.getByLabel("Code").fill(code);
      await page.getByRole("button", { name: "Continue" }).click();
    };
    await enter("BBBB-BBBB");
    await page.getByRole("alert").getByText("No terminal waits with this code.").waitFor();
    await checkAccess(page, "the page of a terminal's code");

    const refused = await begin();
    await enter(refused.code);
    await page.getByRole("heading", { name: "Is this your terminal?" }).waitFor();
    await checkAccess(page, "the question whose terminal it is");
    await page.getByRole("button", { name: "Refuse" }).click();
    await page.getByRole("heading", { name: "The terminal is refused" }).waitFor();
    const { status, last } = await refused.ended;
    expect(
      status === 4 && last === "taskbeacon: The sign-in was refused.",
      "a refused terminal says so, and ends",
    );

    const terminal = await begin();
    await enter(terminal.code.toLowerCase().replace("-", ""));
    await page.getByRole("button", { name: "Confirm" }).click();
    await page.getByRole("heading", { name: "The terminal is signed in" }).waitFor();
    const done = await terminal.ended;
    expect(done.status === 0 && done.last.startsWith("Signed in to"), "a confirmed terminal is signed in");
    const env = { ...process.env, XDG_CONFIG_HOME: home };
    const { stdout } = await promisify(execFile)(program, ["status", "--json"], { env });
    expect(JSON.parse(stdout).key_from === "file", "and acts as the person from then on");
    await enter(terminal.code);
    await page.getByRole("alert").getByText("No terminal waits with this code.").waitFor();
    expect(page.problems.length === 0, `no problems ${page.problems.join("; ")}`);
    await page.context().close();
  } finally {
    for (const terminal of terminals) terminal.stop();
    await rm(home, { recursive: true });
  }
}
