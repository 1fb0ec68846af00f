// What a person writes is there when they come back: the text of a new task, and with what its first run starts.
import { call, endLater } from "./api.mjs";
import { base, holdBack } from "./browser.mjs";

export async function newTaskAndDraftKeepWhatWasChosen(browser, { expect, watched, checkAccess }) {
  const page = await watched(browser);
  const text = page.getByLabel("What shall the agent do?");
  const dialog = page.getByRole("dialog", { name: "New task" });
  await page.goto(`${base}/projects/1/?new=1`);
  await text.fill("Keep what I have written.");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await page.getByRole("main").getByRole("button", { name: "New task" }).click();
  expect((await text.inputValue()) === "Keep what I have written.", "Escape does not lose the text");
  await page.reload();
  expect((await text.inputValue()) === "Keep what I have written.", "nor does a reload");

  await page.getByLabel("Agent", { exact: true }).selectOption("actor");
  await page.getByLabel("Model", { exact: true }).fill("a-model");
  await page.getByLabel(/^Interactive/).uncheck();
  await page.getByRole("dialog").getByLabel("Repository").fill("sh");
  await dialog.getByText("Write the repository as organization/repository.").waitFor();
  expect(
    await dialog.getByRole("button", { name: "Start" }).isDisabled(),
    "what is no repository starts nothing",
  );
  await page.getByRole("dialog").getByLabel("Repository").fill("acme/remembered");
  await page.getByRole("button", { name: "Save as draft" }).click();
  await page.getByRole("heading", { name: "No run yet" }).waitFor();
  await page.goBack();
  await page.getByRole("heading", { name: "Tasks", exact: true }).waitFor();
  expect((await dialog.count()) === 0, "the way back from a new task leads to the list, without the dialog");
  await page.goForward();
  await page.getByRole("heading", { name: "No run yet" }).waitFor();
  const id = new URL(page.url()).pathname.split("/").at(-1);
  const release = await holdBack(page, /\/agents$/);
  await page.reload();
  await page.getByRole("button", { name: "Start a run" }).click();
  expect(
    (await page.getByLabel("Agent", { exact: true }).inputValue()) === "actor",
    "a draft keeps its agent",
  );
  expect((await page.getByLabel("Model", { exact: true }).inputValue()) === "a-model", "and its model");
  release();
  await checkAccess(page, "a draft with an agent");
  await page.getByLabel("Agent", { exact: true }).selectOption("");
  await page.getByRole("dialog").getByLabel("Repository").fill("");
  await page.getByRole("button", { name: "Save and run" }).click();
  endLater(id);
  await page.getByRole("button", { name: "Start over" }).waitFor();
  const { latest_run: run } = await call(`/tasks/${id}/`);
  expect(run.state.mode === "background" && !run.runtime_adapter, "its run is what was chosen");

  await page.goto(`${base}/projects/1/?new=1`);
  expect((await text.inputValue()) === "", "the next new task begins empty");
  const repository = await page.getByRole("dialog").getByLabel("Repository").inputValue();
  expect(repository === "acme/remembered", `but for the repository of the last one (${repository})`);
  const acceptance = { checks: [{ id: "unit", shell: "make test" }] };
  await call("/tasks/", { title: "Acceptance: checks", description: "Hi.", repository, acceptance });
  await page.reload();
  await dialog.getByText(/^Checks, as in \S+, the newest task of acme\/remembered$/).waitFor();
  const command = dialog.getByLabel("Command of check 1");
  expect((await command.inputValue()) === "make test", "and for the checks of its newest task");
  await checkAccess(page, "checks that a new task begins with");
  await dialog.getByRole("button", { name: "Remove check 1" }).click();
  await page.reload();
  await dialog.getByText("Nothing is defined that checks the work").waitFor();
  expect((await command.count()) === 0, "which stay away once they are taken out");
  await page.context().close();
}
