// Signing in and out, as a person does it.
import { execFile } from "node:child_process";
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
