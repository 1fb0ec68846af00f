// A task can be changed: its name, its text and checks, with another run; archived, deleted, one or forty of them.
import { call, endLater, newRun, newTask } from "./api.mjs";
import { base, cardOf, until } from "./browser.mjs";

export async function taskIsRenamedAndEdited(browser, { expect, watched, checkAccess }) {
  const { id, latest_run: first } = await newRun("Acceptance: a name", [["say", "Hello."]]);
  const page = await watched(browser);
  const dialog = page.getByRole("dialog", { name: "Edit task" });
  await page.goto(`${base}/projects/1/tasks/${id}`);
  await page
    .getByText("Your turn: what next?", { exact: true })
    .or(page.getByPlaceholder("Your turn: what next?"))
    .waitFor();
  await page.keyboard.press("F2");
  await page.keyboard.press("Control+a");
  await page.keyboard.type("Acceptance: another name");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Acceptance: another name" }).waitFor();
  await until("the name", async () => (await call(`/tasks/${id}/`)).title === "Acceptance: another name");
  const renamed = await call(`/tasks/${id}/`);
  expect(renamed.latest_run.id === first.id, "a task is renamed by keys alone, and Enter starts no run");
  // Until the person has left the field, keys belong to it.
  await page.keyboard.press("Escape");
  await page.keyboard.press("E");
  await dialog.getByText("keeps what it began with").waitFor();
  await dialog.getByLabel("Repository").fill("acme/found");
  await dialog.getByRole("button", { name: "Add a command that must pass" }).click();
  await dialog.getByLabel("Command of check 1").fill("test -e README.md");
  await checkAccess(page, "a task that is edited");
  await dialog.getByRole("button", { name: "Save", exact: true }).click();
  await dialog.waitFor({ state: "detached" });
  const saved = await call(`/tasks/${id}/`);
  expect(saved.repository === "acme/found", "its repository can be changed");
  expect(saved.acceptance?.checks[0].shell === "test -e README.md", "and its checks");
  expect(saved.latest_run.status === "in_progress", "while its run goes on");

  await page.keyboard.press("E");
  await dialog.getByLabel("What shall the agent do?").fill("```say\nAnother text.\n```");
  await dialog.getByLabel("Repository").fill("");
  await dialog.getByRole("button", { name: "Remove check 1" }).click();
  await dialog.getByLabel(/^Interactive/).uncheck();
  await dialog.getByRole("button", { name: "Save and run again" }).click();
  endLater(id);
  await page.getByRole("log").getByText("Another text.").nth(1).waitFor();
  const again = await call(`/tasks/${id}/`);
  expect(again.latest_run.id !== saved.latest_run.id, "and it is run again with another text");
  expect(again.latest_run.state.mode === "background" && again.acceptance === null, "in another way");
  await call(`/tasks/${id}/runs/${saved.latest_run.id}/`, { status: "cancelled" }, "PATCH");
  await page.context().close();
}

export async function deletingSaysWhatItEnds(browser, { expect, watched, checkAccess }) {
  const { id } = await newTask("Acceptance: to be deleted", [["ask", "Delete me?"]]);
  const { latest_run: run } = await call(`/tasks/${id}/run/`, { mode: "interactive" });
  const page = await watched(browser, { size: "phone" });
  const dialog = page.getByRole("dialog", { name: "Delete this task?" });
  await page.goto(`${base}/projects/1/tasks/${id}`);
  await cardOf(page, "Delete me?").waitFor();
  await page.getByRole("button", { name: "More" }).tap();
  const options = page.getByRole("listbox", { name: "Tasks and commands" }).getByRole("option");
  await options.last().waitFor();
  const own = (await options.allTextContents()).slice(0, 5).map((option) => option.trim());
  expect(
    own.join() ===
      "Mute the pushes of this task,Edit the task,Archive the task,Delete the task,Rename the task",
    `the menu of a phone begins with what the task has, without keys: ${own}`,
  );
  const field = page.getByRole("combobox", { name: "Task, page or command" });
  expect(!(await field.evaluate((element) => element.matches(":focus"))), "and shows no keyboard");
  await page.getByRole("option", { name: "Delete the task" }).tap();
  await dialog.getByText("It cannot be undone").waitFor();
  await dialog.getByText("asks “Delete me?”").waitFor();
  await checkAccess(page, "a task that is to be deleted, on a phone");
  await dialog.getByRole("button", { name: "Do not delete" }).press("Enter");
  await dialog.waitFor({ state: "detached" });
  expect(
    (await call(`/tasks/${id}/`)).latest_run.status === "in_progress",
    "nothing is deleted without an answer",
  );
  await page.keyboard.press("Control+k");
  await until("the field", () => field.evaluate((element) => element.matches(":focus")));
  expect(true, "a key shows it with the field, also where there is a touch screen");
  await page.keyboard.press("Escape");
  await field.waitFor({ state: "detached" });
  await page.getByRole("button", { name: "More" }).press("Enter");
  await field.fill("delete the task");
  await field.press("Enter");
  await dialog.getByRole("button", { name: "End the run and delete" }).press("Enter");
  await page.getByRole("heading", { level: 1, name: "Tasks" }).waitFor();
  const gone = await call(`/tasks/${id}/`).catch(String);
  expect(String(gone).includes("404"), "a deleted task is gone");
  const ended = await call(`/tasks/${id}/runs/${run.id}/`).catch(String);
  expect(String(ended).includes("404"), "with its runs");
  await page.context().close();
}

export async function fortyTasksAreArchivedByKeys(browser, { expect, watched, checkAccess }) {
  const title = `Acceptance: one of forty ${Date.now()}`;
  for (let number = 0; number < 40; number += 1) await newTask(title, [["say", "Hi."]]);
  const page = await watched(browser);
  const rows = page.locator("main [data-task]");
  const bar = page.getByRole("region", { name: "Selected tasks" });
  const shown = (count) => until(`${count} rows`, async () => (await rows.count()) === count);
  await page.goto(`${base}/projects/1/?search=${encodeURIComponent(title)}`);
  await shown(40);
  await page.keyboard.press("j");
  await page.keyboard.press("x");
  for (let number = 0; number < 3; number += 1) await page.keyboard.press("J");
  await bar.getByText("4 selected").waitFor();
  await page.keyboard.press("Escape");
  await bar.waitFor({ state: "detached" });
  await rows.nth(5).click({ modifiers: ["Shift"] });
  await bar.getByText("3 selected").waitFor();
  expect(true, "rows are selected by keys, and up to a row by the pointer");
  await page.keyboard.press("Control+a");
  await bar.getByText("40 selected").waitFor();
  await checkAccess(page, "tasks that are selected");
  await page.keyboard.press("e");
  await page.getByText("Archived: 40 tasks.").waitFor();
  await shown(0);
  expect(true, "forty tasks are archived in one go, by keys");
  await page.getByRole("button", { name: "Undo" }).press("Enter");
  await shown(40);
  expect(true, "and come back");
  await page.keyboard.press("Control+a");
  await bar.getByText("40 selected").waitFor();
  await page.keyboard.press("Escape");
  const desk = page.viewportSize();
  await page.setViewportSize({ width: 390, height: 844 });
  await page.getByRole("button", { name: "Select all 40", exact: true }).press("Enter");
  await bar.getByText("40 selected").waitFor();
  expect(true, "on a phone, a button selects all, and says how many");
  await page.setViewportSize(desk);
  await page.keyboard.press("#");
  await page
    .getByRole("dialog", { name: "Delete 40 tasks?" })
    .getByRole("button", { name: "Delete", exact: true })
    .press("Enter");
  await shown(0);
  expect(true, "or are deleted");
  await page.context().close();
}
