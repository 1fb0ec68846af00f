// What checks say of the work of a run: its verdict wherever the run is shown, and in its pane why.
import { readFile } from "node:fs/promises";
import { call, start } from "./api.mjs";
import { base, cardOf, until } from "./browser.mjs";

const TESTS = { id: "tests", run: ["sh", "tests/run.sh"], reports: ["report.xml"] };

const NOTE = "Message to the agent";
const WHY = "Why the work is accepted";

/** Define the checks of a repository, and create a task of it. Return the task. */
async function checkedTask(title, repository, definitions, script) {
  const { results } = await call(`/check_sets/?repository=${repository}`);
  if (results.length) await call(`/check_sets/${results[0].id}/`, definitions, "PATCH");
  else await call("/check_sets/", { repository, ...definitions });
  return call("/tasks/", { title, description: `\`\`\`sh\n${script}\n\`\`\``, repository });
}

const badge = (page, verdict) => page.locator("main header").first().getByText(verdict, { exact: true });

export async function verdictIsShownWithItsReasons(browser, { expect, watched, checkAccess }) {
  const title = "Acceptance: checks";
  const task = await checkedTask(
    title,
    "acme/prices",
    {
      setup: [{ shell: "echo prepared" }],
      checks: [
        TESTS,
        { id: "apples", run: ["cat", "prices/apples"] },
        { id: "docs", run: ["cat", "docs/prices"], paths: ["docs/**"] },
      ],
    },
    "echo broken > prices/apples\nrm prices/plums\necho '# changed' >> tests/run.sh",
  );
  const { latest_run: run } = await start(task, { mode: "background" });
  const page = await watched(browser);
  const pane = page.getByRole("complementary", { name: "Checks" });
  const address = `${base}/projects/1/tasks/${task.id}?pane=checks`;
  await page.goto(address);
  await badge(page, "Refuted").waitFor();
  expect(true, "the verdict comes to a page that is open");
  const tab = page.getByRole("button", { name: /^Checks/ });
  const [around, sign] = [await tab.boundingBox(), await tab.locator("svg").boundingBox()];
  const apart = around.y + around.height / 2 - sign.y - sign.height / 2;
  expect(Math.abs(apart) < 2, `its sign stands in the line of its tab (${apart})`);
  for (const text of [
    "tests: It fails where the base does not.",
    "2 failed, 1 new, 1 removed",
    "New failures",
    "shop > prices > apples",
    "Removed cases",
    "shop > prices > plums",
    "With the tests of the base",
    "Existing tests that were changed or deleted",
    "echo prepared",
  ])
    await pane.getByText(text).first().waitFor();
  expect(true, "the pane says why: new failures, removed cases, changed tests, and the set-up");
  await pane.getByRole("button", { name: "apples Passed" }).press("Enter");
  await pane.getByLabel("Output of apples").getByText("broken").waitFor();
  await pane.getByRole("button", { name: "docs Skipped" }).waitFor();
  const download = page.waitForEvent("download");
  await pane.getByRole("link", { name: "tests-attempt-1-execution-2.log, of the work, execution 2" }).click();
  const file = (await download).suggestedFilename();
  expect(file === "tests-attempt-1-execution-2.log", `the log of a check is a file (${file})`);
  const card = cardOf(page, "1 check fails");
  await card.waitFor();
  await page
    .locator("main header")
    .first()
    .getByText(/^tests: it fails where the base does not/)
    .waitFor();
  expect(true, "its head says which check refutes it");
  await checkAccess(page, "the checks of a run");

  const waive = card.getByRole("button", { name: "Waive", exact: true });
  await card.getByRole("button", { name: "Waive …" }).press("Enter");
  expect(await waive.isDisabled(), "work is accepted with a reason alone");
  await card.getByLabel(WHY).fill("<b>Apples</b> may be broken.");
  await waive.press("Enter");
  await badge(page, "Refuted, waived").waitFor();
  await pane.getByText("<b>Apples</b> may be broken.").waitFor();
  expect(true, "a waiver is shown with its reason, and the verdict stays");

  await pane.getByRole("button", { name: "Check again" }).press("Enter");
  await badge(page, "Refuted").waitFor();
  await pane.getByLabel(WHY).fill("Still so.");
  await pane.getByRole("button", { name: "Waive", exact: true }).press("Enter");
  await badge(page, "Refuted, waived").waitFor();
  expect(true, "what is refuted once more is waived without a question");

  await call(
    `/check_sets/${(await call("/check_sets/?repository=acme/prices")).results[0].id}/`,
    {
      checks: [{ id: "pears", run: ["cat", "prices/pears"] }],
    },
    "PATCH",
  );
  await pane.getByRole("button", { name: "Check again" }).press("Enter");
  await badge(page, "Verified · tests changed").waitFor();
  await page.locator("main header").first().getByTitle("Passed: pears").waitFor();
  await page.getByRole("region", { name: "The end of the run" }).getByText("Passed: pears").waitFor();
  expect(true, "a verdict that stands alone says by which check");
  await pane.getByRole("button", { name: "pears Passed" }).waitFor();
  await pane.getByLabel("Attempt").selectOption("1");
  await pane.getByText("shop > prices > apples").first().waitFor();
  expect(true, "the work is checked again by other definitions, and the attempt before can still be seen");
  const { status, output } = await call(`/tasks/${task.id}/runs/${run.id}/`);
  expect(status === "completed" && output !== null, "which changes nothing else of the run");

  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(`${base}/projects/1/?search=${encodeURIComponent(title)}`);
  const row = page.locator(`[data-task="${task.id}"]`);
  await row.getByText("Verified").waitFor();
  expect(await row.getByText("Verified").isVisible(), "the list shows the verdict, on a phone too");
  await page.goto(`${base}/projects/1/tasks/${task.id}`);
  const about = page.locator("main > header");
  await about.getByText("Verified · tests changed").waitFor();
  expect((await about.getByText("Completed").count()) === 0, "where nothing stands before it");
  await page.context().close();
}

/** To archive the task withdraws the question, and to take it out of the archive does not ask it again. */
export async function archiveOfAnOpenVerdictIsAskedFor(browser, { expect, watched, checkAccess }) {
  const title = "Acceptance: an archive of refuted work";
  const task = await checkedTask(title, "acme/prices", { checks: [TESTS] }, "echo broken > prices/apples");
  await start(task, { mode: "background" });
  const page = await watched(browser);
  const dialog = page.getByRole("dialog", { name: "Archive this task?" });
  // A verdict is wanted where a state is.
  await page.goto(`${base}/projects/1/?status=refuted&search=${encodeURIComponent(title)}`);
  const needs = page.getByRole("region", { name: /^Needs you/ });
  await needs.locator(`[data-task="${task.id}"]`).focus();
  await page.keyboard.press("e");
  await dialog.or(page.getByRole("button", { name: "Undo" })).waitFor();
  expect(!(await call(`/tasks/${task.id}/`)).archived, "e alone does not archive work that is to be judged");
  await dialog.getByText("waits for your answer: “1 check fails”").waitFor();
  await checkAccess(page, "an archive that a question is in the way of");
  await dialog.getByRole("link", { name: "Show the question" }).press("Enter");
  await cardOf(page, "1 check fails").waitFor();
  expect((await dialog.count()) === 0, "and leads to the question");
  await page.getByRole("button", { name: "Archive the task" }).press("Enter");
  await dialog.getByRole("button", { name: "Archive", exact: true }).press("Enter");
  await until("the archive", async () => (await call(`/tasks/${task.id}/`)).archived);
  expect(true, "it is archived once that is confirmed");
  await page.context().close();
}

export async function changedTestIsShownBesideItsOldOutcome(browser, { expect, watched, checkAccess }) {
  const task = await checkedTask(
    "Acceptance: a changed test",
    "acme/prices",
    { checks: [TESTS] },
    "echo broken > prices/apples\nsed -i s/broken/rotten/ tests/run.sh",
  );
  await start(task, { mode: "background" });
  const page = await watched(browser);
  const pane = page.getByRole("complementary", { name: "Checks" });
  await page.goto(`${base}/projects/1/tasks/${task.id}?pane=checks`);
  await badge(page, "Verified · tests changed").waitFor();
  await pane.getByText("Existing tests that were changed or deleted").waitFor();
  await pane.getByText("tests/run.sh", { exact: true }).waitFor();
  expect(true, "work that makes a test say something else is verified, and the file of the test is named");
  const end = page.getByRole("region", { name: "The end of the run" });
  await end.getByText("Verified · tests changed").waitFor();
  await end.getByText("tests: the old tests fail").waitFor();
  expect(true, "the end of the run says that the old tests fail");
  await pane.getByText("The old tests fail: tests.").waitFor();
  await pane.getByRole("button", { name: "tests Passed; the old tests fail", expanded: true }).waitFor();
  const log = page.waitForEvent("download");
  await pane.getByRole("link", { name: "tests-attempt-1-old-tests.log, with the tests of the base" }).click();
  const file = await readFile(await (await log).path(), "utf8");
  expect(file.includes("broken"), `the pane says so before it is opened, and has their log (${file})`);
  const side = (title) => pane.locator("dl > div").filter({ hasText: title }).getByRole("definition");
  const shown = await side("With the tests of the base").textContent();
  expect(shown === "Failed", `beside what the check shows with the test as it was (${shown})`);
  expect((await side("Cases").textContent()).includes("fixed"), "and what its cases show now");
  await page.getByRole("button", { name: "tests: passed; old tests fail" }).waitFor();
  expect(true, "the transcript names what decides beside it");
  await checkAccess(page, "a check whose tests were changed");
  await page.context().close();
}

export async function checksAreListedBeforeTheyRun(browser, { expect, watched, checkAccess }) {
  const task = await checkedTask("Acceptance: checks to come", "acme/prices", { checks: [TESTS] }, "exit 0");
  const description = "```ask options=go\nGo on?\n```";
  const acceptance = { checks: [{ id: "pears", shell: "cat prices/pears" }] };
  await call(`/tasks/${task.id}/`, { description, acceptance }, "PATCH");
  await start(task, { mode: "interactive" });
  const page = await watched(browser);
  const pane = page.getByRole("complementary", { name: "Checks" });
  await page.goto(`${base}/projects/1/tasks/${task.id}?pane=checks`);
  for (const text of ["sh tests/run.sh", "cat prices/pears"]) await pane.getByText(text).waitFor();
  expect(true, "while the agent works, the pane lists what will check its work");
  await checkAccess(page, "checks to come");
  await page.context().close();
}

export async function foundCheckIsTakenOverAndItsWorkSentBack(browser, { expect, watched, checkAccess }) {
  const title = "Acceptance: work that is sent back";
  const script = "```sh\ntouch broken\n```";
  const task = await call("/tasks/", { title, description: script, repository: "acme/found" });
  await start(task, { mode: "background" });
  const page = await watched(browser);
  const pane = page.getByRole("complementary", { name: "Checks" });
  // Which workers there are says what they cannot hold.
  const warning = "Set-up gets no network.";
  await page.route(/\/check_sets\/?$/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), warnings: [warning] } });
  });
  await page.goto(`${base}/projects/1/tasks/${task.id}`);
  await page
    .getByRole("region", { name: "The end of the run" })
    .getByRole("link", { name: "Nothing was checked" })
    .click();
  await pane.getByRole("button", { name: "Check", exact: true }).waitFor();
  await pane.getByRole("button", { name: "Define checks of the task" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Add a command that must pass" }).waitFor();
  await page
    .getByRole("dialog")
    .getByText(/^Nothing is defined that checks the work/)
    .waitFor();
  await page.keyboard.press("Escape");
  expect(true, "what was not checked leads to its checks, and to where they are defined");
  await pane.getByRole("button", { name: "Take over make-test" }).click();
  await pane.getByText("Taken over").waitFor();
  await pane.getByRole("status").getByText(warning).waitFor();
  expect(true, "what workers cannot hold of it is said");
  const { results } = await call("/check_sets/?repository=acme/found");
  expect(results[0].checks[0].id === "make-test", "a check that was found is taken over by one press");
  await checkAccess(page, "a check that was found");

  const { latest_run: run } = await start(task, { mode: "background" });
  await page.goto(`${base}/projects/1/inbox`);
  const row = page.getByRole("main").getByRole("listitem").filter({ hasText: title });
  await row.locator('[data-unread="false"]').waitFor();
  await row.getByText("make-test: it fails where the base does not").waitFor();
  await checkAccess(page, "a verdict in the inbox");
  const link = await row.getByRole("link", { name: title }).getAttribute("href");
  expect(link.endsWith(`/runs/${run.id}?pane=checks`), "which leads to the checks of the run");
  expect((await row.getByRole("textbox").count()) === 0, "its field opens with the choice");
  const review = `/tasks/${task.id}/runs/${run.id}/review/`;
  const place = { path: "broken", side: "new", start_line: 1, line: 1, hash: null, created_at: null };
  const { version } = await call(review);
  await call(review, { version, viewed: [], comments: [{ ...place, id: "c", text: "Why?" }] }, "PUT");
  await row.getByRole("button", { name: "Send back …" }).click();
  await row.getByText("1 draft comment is not sent.").waitFor();
  await checkAccess(page, "work that is sent back without its comments");
  const comments = await row.getByRole("link", { name: "Review them" }).getAttribute("href");
  expect(comments.endsWith(`/runs/${run.id}?pane=changes`), "comments that are not sent with it are named");
  await row.getByLabel(NOTE).fill("Remove the file.");
  await row.getByRole("button", { name: "Send back", exact: true }).click();
  await row.waitFor({ state: "detached" });
  await page.getByText(`Sent back: ${title}.`).waitFor();
  const { state } = await until("another run", async () => {
    const { latest_run: latest } = await call(`/tasks/${task.id}/`);
    return latest.id !== run.id && latest;
  });
  expect(state.resume_from_run_id === run.id, "from the inbox work is sent back to another run");
  const said = state.pending_user_message;
  expect(
    said.includes("Check make-test: make test") && said.endsWith("Remove the file."),
    "which is told why",
  );

  // What it was told has no step for the agent.
  await row.getByText("make-test: it fails where the base does not").waitFor();
  const { latest_run: next } = await call(`/tasks/${task.id}/`);
  await page.goto(`${base}/projects/1/tasks/${task.id}`);
  await badge(page, "Refuted").waitFor();
  await page.locator("main header").first().getByText(next.output.head_branch).waitFor();
  expect(next.output.files_changed.length === 0, "work stays refuted if the next run adds nothing to it");
  await page.context().close();
}

export async function runThatIsCheckedSaysSo(browser, { expect, watched, checkAccess }) {
  const task = await checkedTask(
    "Acceptance: checks that take long",
    "acme/slow",
    { checks: [{ id: "slow", run: ["sleep", "3600"] }, TESTS] },
    "echo 2 > prices/apples",
  );
  const { latest_run: run } = await start(task, { mode: "background" });
  const page = await watched(browser);
  const pane = page.getByRole("complementary", { name: "Checks" });
  await page.goto(`${base}/projects/1/tasks/${task.id}?pane=checks`);
  await page.locator("main header").first().getByText("Checking").waitFor();
  await pane.getByRole("button", { name: "slow Running" }).waitFor();
  await pane.getByRole("button", { name: "tests Waiting" }).waitFor();
  await page.getByPlaceholder("No messages while the work is stored and checked").waitFor();
  expect(true, "a run that is checked says so, which check runs, and takes no message");
  await checkAccess(page, "a run that is checked");
  await call(`/tasks/${task.id}/runs/${run.id}/`, { status: "cancelled" }, "PATCH");
  await badge(page, "Inconclusive").waitFor();
  await pane.getByText("The run was cancelled.").waitFor();
  expect(true, "and its end, as soon as a person cancels it");
  await page.context().close();
}
