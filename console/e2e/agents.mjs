// The agents that are there, and keys of one's own.
import { call, endLater } from "./api.mjs";
import { base, until } from "./browser.mjs";

export async function agentsThatAreThereCanBeChosen(browser, { expect, watched, checkAccess }) {
  const page = await watched(browser);
  const agent = page.getByLabel("Agent", { exact: true });
  await page.goto(`${base}/projects/1/?new=1`);
  await page.getByText(/^\d agents? cannot be chosen$/).click();
  await page.getByText(/^Codex cannot be chosen: .+/).waitFor();
  const codex = agent.locator("option", { hasText: "Codex" });
  expect(await codex.isDisabled(), "an agent that is not installed cannot be chosen, and says why");
  await checkAccess(page, "agents that cannot be chosen");
  await page.getByLabel("What shall the agent do?").fill('{"method": "none", "params": {}}');
  await agent.selectOption("actor");
  await page.getByLabel("Model", { exact: true }).fill("m");
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await page.waitForURL(/\/tasks\/[0-9a-f-]+$/);
  const id = new URL(page.url()).pathname.split("/").at(-1);
  endLater(id);
  const { latest_run: run } = await call(`/tasks/${id}/`);
  expect(run.runtime_adapter === "actor", "one of the operator's catalog can");
  await page.goto(`${base}/projects/1/settings/agents`);
  const row = page.getByRole("listitem").filter({ hasText: "actor" });
  await row.getByText("Ready", { exact: true }).waitFor();
  await page.getByRole("listitem").filter({ hasText: "Codex" }).getByText("Not ready").waitFor();
  expect(true, "the settings say what the workers have");
  await page.context().close();
}

export async function keysOfOnesOwnAreMade(browser, { expect, watched, checkAccess }) {
  const page = await watched(browser);
  const label = `Acceptance ${Date.now()}`;
  await page.goto(`${base}/projects/1/settings/keys`);
  await page.getByRole("button", { name: "Create a key" }).click();
  await page.getByLabel("Name").fill(label);
  await checkAccess(page, "a new key");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.getByText("Save this secret now").waitFor();
  const secret = await page.locator("code", { hasText: "phx_" }).first().textContent();
  const me = (key) =>
    fetch(new URL("/api/users/@me/", base), { headers: { Authorization: `Bearer ${key}` } });
  expect((await me(secret)).ok, "a key of one's own works");
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByRole("button", { name: `Revoke ${label}` }).click();
  await page.getByRole("button", { name: "Really revoke" }).click();
  await page.getByRole("listitem").filter({ hasText: label }).waitFor({ state: "detached" });
  await until("the end of the key", async () => (await me(secret)).status === 401);
  expect(true, "until it is revoked");
  await page.context().close();
}
