// A task is not archived by one press while its agent asks or works.
import { call, newRun, start } from "./api.mjs";
import { base, cardOf } from "./browser.mjs";

export async function archiveOfALiveRunIsAskedFor(browser, { expect, watched, checkAccess }) {
  const { id } = await newRun("Acceptance: an archive", [["ask", "Delete it all?"]]);
  const page = await watched(browser);
  const dialog = page.getByRole("dialog", { name: "Archive this task?" });
  await page.goto(`${base}/projects/1/tasks/${id}`);
  await cardOf(page, "Delete it all?").waitFor();
  // `e` explains the question; a second click at the place of a first would be ignored.
  await page.getByRole("button", { name: "Archive the task" }).press("Enter");
  await dialog.getByText("asks “Delete it all?”").waitFor();
  await checkAccess(page, "an archive that is asked for");
  await page.keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });
  expect(
    !(await call(`/tasks/${id}/`)).archived,
    "the button alone does not archive a task that asks, nor does Enter",
  );

  await page.getByRole("button", { name: "Archive the task" }).click();
  await dialog.getByRole("button", { name: "Archive, and let it go on" }).press("Enter");
  await page.getByText("Archived.").waitFor();
  const kept = await call(`/tasks/${id}/`);
  expect(kept.archived && kept.latest_run.status === "in_progress", "its run goes on if it shall");
  await page.getByRole("button", { name: "Take the task out of the archive" }).press("Enter");
  await page.getByText("Taken out of the archive.").waitFor();

  await page.getByRole("button", { name: "Archive the task" }).press("Enter");
  await dialog.getByRole("button", { name: "End the run and archive" }).press("Enter");
  await page.locator("main header").getByText("Archived", { exact: true }).waitFor();
  const ended = await call(`/tasks/${id}/`);
  expect(ended.archived && ended.latest_run.status === "cancelled", "or ends with it");
  await page.context().close();
}

export async function archiveOnAnEarlierRunIsAskedForToo(browser, { expect, watched }) {
  const task = await newRun("Acceptance: an archive on an earlier run", [["ask", "Delete it all?"]]);
  const earlier = `/tasks/${task.id}/runs/${task.latest_run.id}`;
  await call(`${earlier}/`, { status: "cancelled" }, "PATCH");
  await start(task, { mode: "interactive" });
  const page = await watched(browser);
  await page.goto(`${base}/projects/1${earlier}`);
  await page.getByRole("button", { name: "Start over" }).waitFor();
  await page.keyboard.press("e");
  await page.getByRole("dialog", { name: "Archive this task?" }).waitFor();
  expect(!(await call(`/tasks/${task.id}/`)).archived, "nor on the page of a run that has ended");
  await page.context().close();
}

export async function muteOutlivesAReload(browser, { expect, watched }) {
  const { id } = await newRun("Acceptance: a mute", [["say", "Hello."]]);
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/tasks/${id}`);
  await page.getByRole("button", { name: "Mute the pushes of this task" }).click();
  await page.getByText("You get no pushes about this task.").waitFor();
  await page.reload();
  await page.getByRole("button", { name: "Get pushes about this task again" }).press("Enter");
  await page.getByRole("button", { name: "Mute the pushes of this task" }).waitFor();
  expect(true, "a muted task says so after a reload");
  await page.context().close();
}

/** The badge, the group beside each page, the cards of the inbox, and the group of tasks. */
export async function whatNeedsAPersonIsCounted(browser, { expect, watched }) {
  const title = "Acceptance: what needs me";
  const { id: asks } = await newRun(title, [["ask", "Go on?"]]);
  const { id } = await newRun(title, [["say", "Your turn."]]);
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/tasks/${id}`);
  await page.getByPlaceholder("Your turn: what next?").waitFor();
  await page.goto(`${base}/projects/1/inbox`);
  const cards = page.getByRole("main").getByRole("listitem");
  await cards.filter({ hasText: title }).filter({ hasText: "waits for a message" }).waitFor();
  await cards.filter({ hasText: title }).filter({ hasText: "Go on?" }).waitFor();
  // In one moment of the page: other scenes ask, too.
  const [badge, beside, all] = await page.evaluate(() => [
    document.querySelector('nav a[href$="/inbox"] [class*="badge"]').firstChild.nodeValue,
    document.querySelector("nav h2 span").textContent,
    String(document.querySelectorAll("main ul > li[class]").length),
  ]);
  expect(beside === all, `the group counts what the inbox shows (${beside}, ${all})`);
  expect(badge === all, `and so does the badge (${badge}, ${all})`);
  const words = await page.getByText(/^Open: /).textContent();
  const counted = [...words.matchAll(/(\d+) (question|agent)/g)].map(([, count]) => Number(count));
  expect(counted.length === 2 && counted[0] + counted[1] === Number(all), `in words: ${words}`);
  // Other tasks that ask might stand before them.
  await page.route(/\/inbox\/?\?status=open/, async (route) => {
    const response = await route.fetch();
    const { results, ...rest } = await response.json();
    const own = results.filter(({ task }) => task.id === asks || task.id === id);
    await route.fulfill({ response, json: { ...rest, results: own } });
  });
  await page.reload();
  const side = page.getByRole("navigation", { name: "Console", exact: true });
  for (const one of [asks, id]) {
    const { slug } = await call(`/tasks/${one}/`);
    await side.getByRole("link", { name: `${title} ${slug}` }).waitFor();
  }
  expect(true, "tasks of one title are told apart by their numbers");
  await page.unroute(/\/inbox\/?\?status=open/);
  await page.reload();
  await page.getByRole("link", { name: "Tasks" }).first().click();
  const group = page.getByRole("region", { name: /^Needs you/ });
  for (const task of [asks, id]) await group.locator(`[data-task="${task}"]`).waitFor();
  expect(true, "and the tasks in it stand first among all tasks");
  await page.context().close();
}
