// What comes after a look at the changes: sending back, the whole branch, and the end of a run.
import { call, newTask, start } from "./api.mjs";
import { base, holdBack, until } from "./browser.mjs";

/** A task of the repository, whose run is over. */
async function finishedRun(title, script) {
  const task = await call("/tasks/", {
    title,
    description: `\`\`\`sh\n${script}\n\`\`\``,
    repository: "acme/notes",
  });
  await start(task, { mode: "background" });
  await until("the end of the run", async () => {
    const { latest_run: run } = await call(`/tasks/${task.id}/`);
    return run.status === "completed";
  });
  return call(`/tasks/${task.id}/`);
}

const ADDS =
  "[ -e new.txt ] || printf 'one\\ntwo\\nthree\\nfour\\n' > new.txt\n[ -e run.sh ] || install -m 755 /dev/null run.sh";

export async function sendBackShowsTheWholeBranch(browser, { expect, watched, checkAccess }) {
  const task = await finishedRun("Acceptance: the whole branch", ADDS);
  const page = await watched(browser);
  const pane = page.getByRole("complementary", { name: "Changes" });
  const choice = pane.getByRole("combobox", { name: "Changes of" });
  await page.goto(`${base}/projects/1/tasks/${task.id}?pane=changes`);
  await pane.getByText("1 of 2 files").waitFor();
  await pane.getByText("executable").waitFor();
  expect((await choice.count()) === 0, "a first run has one base: nothing to choose");
  await pane.getByRole("checkbox", { name: "Viewed: new.txt" }).click();
  await pane.getByText("1/2 viewed").waitFor();
  const runScript = pane.getByRole("region", { name: "run.sh" });
  await runScript.waitFor();
  await call(`/tasks/${task.id}/run/`, {
    mode: "background",
    resume_from_run_id: task.latest_run.id,
    pending_user_message: "```sh\necho more > more.txt\n```",
  });
  await until("the end of the next run", async () => {
    const { latest_run: run } = await call(`/tasks/${task.id}/`);
    return run.id !== task.latest_run.id && run.status === "completed";
  });
  await page.goto(`${base}/projects/1/tasks/${task.id}?pane=changes`);
  await pane.getByRole("region", { name: "more.txt" }).waitFor();
  await pane.getByText("1 file ").waitFor();
  await choice.selectOption("Whole branch");
  await pane.getByText("1 of 3 files").waitFor();
  expect(true, "after a send-back, the whole branch is there by choice");
  await checkAccess(page, "the whole branch");
  const viewed = pane.getByRole("checkbox", { name: "Viewed: new.txt" });
  expect(await viewed.isChecked(), "what was viewed in the run before, and has not changed, is viewed");
  await page.reload();
  await pane.getByText("1 of 3 files").waitFor();
  expect(true, "and the choice stays");
  const next = page.getByRole("group", { name: "What next?" });
  await next.getByRole("button", { name: "Review 1 file" }).click();
  await pane.getByText("1 file ").waitFor();
  expect((await choice.inputValue()) === "start", "what counts one file opens that one, whatever was chosen");
  await page.getByRole("button", { name: "Transcript" }).click();
  await next.getByRole("button", { name: "Whole branch: 3 files" }).click();
  await pane.getByText("1 of 3 files").waitFor();
  expect(true, "and beside it stands what opens the whole branch");
  await page.getByRole("button", { name: "Transcript" }).click();
  const phone = await watched(browser, { size: "phone", theme: "dark" });
  await phone.goto(`${base}/projects/1/tasks/${task.id}?pane=changes`);
  await phone.getByRole("combobox", { name: "Changes of" }).selectOption("Whole branch");
  await phone.getByText("/3 viewed").waitFor();
  await checkAccess(phone, "the whole branch on a phone");
  await phone.context().close();
  await page.goto(`${base}/projects/1/tasks/${task.id}/runs/${task.latest_run.id}`);
  const note = page.getByRole("status").filter({ hasText: "Run 1 of 2. Run 2 came after it." });
  await note.waitFor();
  const end = page.getByRole("region", { name: "The end of the run" });
  const ways = await end.locator("details code").allInnerTexts();
  expect(
    ways[0].endsWith(` --detach ${task.latest_run.output.head_sha}`) && ways[1].startsWith("taskbeacon"),
    `no command takes the work of Run 2 (${ways})`,
  );
  await checkAccess(page, "an earlier run");
  await note.getByRole("link", { name: "Show it" }).click();
  await note.waitFor({ state: "detached" });
  expect(page.url().endsWith(`/tasks/${task.id}`), "an earlier run says so, and leads to the latest one");
  await page.context().close();
}

const MAKES = `[ -e guide.py ] || {
  { echo '"""How notes are kept.'; seq -f 'note %g is kept' 30; echo 'while one of them is open'; echo '"""'; } > guide.py
  { echo 'import sys'; seq -f 'VALUE_%g = 1' 60; echo 'sys.exit(VALUE_60)'; } > tool.py
}`;

export async function sendBackShowsWhatWasAsked(browser, { expect, watched, checkAccess }) {
  const task = await finishedRun("Acceptance: what was asked", MAKES);
  const page = await watched(browser);
  const pane = page.getByRole("complementary", { name: "Changes" });
  const review = () => call(`/tasks/${task.id}/runs/${task.latest_run.id}/review/`);
  const comment = async (file, line, text) => {
    const { length } = (await review()).comments;
    await pane.getByRole("button", { name: `Comment on line ${line} of ${file}` }).click();
    await pane.getByRole("textbox", { name: `Comment on line ${line}` }).fill(text);
    await pane.getByRole("button", { name: "Add the comment" }).click();
    await until("the comment", async () => (await review()).comments.length > length);
  };
  await page.goto(`${base}/projects/1/tasks/${task.id}?pane=changes`);
  const low = pane.getByRole("button", { name: "Comment on line 28 of guide.py" });
  await low.evaluate((line) => {
    const list = line.closest("[data-scrolls]");
    list.scrollTop += line.getBoundingClientRect().bottom - list.getBoundingClientRect().bottom + 150;
  });
  await low.press("Enter");
  const [add, around] = [
    pane.getByRole("button", { name: "Add the comment" }),
    pane.locator("[data-scrolls]"),
  ];
  const [button, list] = [await add.boundingBox(), await around.boundingBox()];
  const [end, edge] = [button.y + button.height, list.y + list.height];
  expect(end < edge + 1, `all of a comment that is written at the low end is in sight (${end}, ${edge})`);
  await pane.getByRole("button", { name: "Cancel" }).click();
  await comment("guide.py", 32, "Say all.\n```sh\nsed -i 's/while one/while all/; 1a of all' guide.py\n```");
  await comment("guide.py", 3, "Is that so?");
  await comment("tool.py", 5, "Why five?");
  const code = pane.locator("[data-comment] pre");
  await code.getByText("sed -i").hover();
  const copy = await pane.getByRole("button", { name: /^Copy: sed/ }).boundingBox();
  const { y: top } = await code.locator("code").boundingBox();
  expect(
    copy.y + copy.height <= top + 4,
    `a comment shows code as such, and its copy button hides none of it`,
  );
  await pane.getByRole("textbox", { name: "Remark on the whole" }).fill("Nearly there.");
  await pane.locator("[data-scrolls]").evaluate((one) => one.scrollTo(0, 0));
  await checkAccess(page, "a review with a remark on the whole");
  await pane.getByRole("button", { name: "Send back: new run" }).click();
  await page.getByText("This run continues from").waitFor();
  const { latest_run: next } = await call(`/tasks/${task.id}/`);
  const message = next.state.pending_user_message;
  expect(message.startsWith("Nearly there.\n\nComments on your changes:"), "a remark goes before comments");
  await page.goto(`${base}/projects/1/tasks/${task.id}?pane=changes`);
  const guide = pane.getByRole("region", { name: "guide.py" });
  await guide.getByText("Asked of this run: changed here").waitFor();
  const notes = pane.locator("[data-comment]");
  expect((await notes.count()) === 3, "the next run shows what was asked");
  await guide.getByText("Asked of this run: nothing changed here").waitFor();
  const rows = await guide.locator("tr").allInnerTexts();
  const at = (text) => rows.findIndex((row) => row.includes(text));
  expect(at("while all") >= 0 && at("while all") + 1 === at("Say all."), "below what has come in its place");
  expect(
    at("note 2 is kept") + 1 === at("Is that so?"),
    "and where nothing has changed, in the gap that it opens",
  );
  await pane.getByRole("button", { name: /^1 comment on lines .* 1 unresolved/ }).click();
  await pane.getByText("tool.py, line 5 of the run before: not in this diff").waitFor();
  await pane.locator("pre").getByText("VALUE_4 = 1").waitFor();
  expect(true, "or, in a file that the run has left alone, with its lines");
  expect((await pane.locator("footer").count()) === 0, "and is not sent again");
  await until(
    "the end of the next run",
    async () => (await call(`/tasks/${task.id}/`)).latest_run.status === "completed",
  );
  for (const place of [pane, page.getByRole("region", { name: "The end of the run" })])
    await place.getByText("The lines of 1 of 3 comments changed.", { exact: true }).waitFor();
  expect(true, "how much of it the run has changed is said above the files and at the end");
  const panes = page.getByRole("navigation", { name: "Panes of the run" });
  expect(
    (await panes.getByText("this run").count()) === 0,
    "the pane counts what it shows, and its tab does not",
  );
  await panes.getByRole("button", { name: "Plan" }).click();
  await panes.getByText("1 this run").waitFor();
  expect(true, "beside another pane, the figures of a run that continues another are called its own");
  await panes.getByRole("button", { name: /^Changes/ }).click();
  const marks = guide.locator("tr", { hasText: "while all" }).locator('[style*="--code-"]');
  await marks.first().waitFor();
  const colours = await marks.evaluateAll((all) => all.map((one) => one.getAttribute("style")));
  expect(
    colours.every((style) => !style.includes("keyword")),
    `words in a text that begins above the hunk have its colour (${[...new Set(colours)].join()})`,
  );
  await page.locator("body").press("n");
  expect(
    await page.evaluate(() =>
      document.activeElement.closest("[data-comment]").textContent.includes("Is that so?"),
    ),
    "keys find it, from the file that is in sight",
  );
  await checkAccess(page, "what was asked of a run");
  await pane.getByRole("combobox", { name: "Changes of" }).selectOption("Whole branch");
  await guide.locator("tr", { hasText: "Is that so?" }).waitFor();
  await guide.getByText("Made on what has changed since:").waitFor();
  const branch = await guide.locator("tr").allInnerTexts();
  const said = branch.findIndex((row) => row.includes("Say all."));
  expect(
    branch[said - 1].includes("while all"),
    "in the whole branch, it stands at what has replaced its lines",
  );
  expect(branch[said].includes("while one of them"), "and says what they were");
  await checkAccess(page, "what was asked, in the whole branch");
  await pane.getByRole("combobox", { name: "Changes of" }).selectOption("Only this run");
  await page.context().close();

  const phone = await watched(browser, { size: "phone", theme: "dark" });
  await phone.goto(`${base}/projects/1/tasks/${task.id}?pane=changes`);
  await phone.getByText("Asked of this run: changed here").waitFor();
  await checkAccess(phone, "what was asked, on a phone");
  await phone.context().close();
}

export async function sentCommentsGoAlongToLaterRuns(browser, { expect, watched, checkAccess }) {
  const task = await finishedRun("Acceptance: comments of an earlier run", ADDS);
  const review = `/tasks/${task.id}/runs/${task.latest_run.id}/review/`;
  const page = await watched(browser);
  const pane = page.getByRole("complementary", { name: "Changes" });
  const file = pane.getByRole("region", { name: "new.txt" });
  const place = `${base}/projects/1/tasks/${task.id}?pane=changes`;
  await page.goto(place);
  await pane.getByRole("button", { name: "Comment on line 2 of new.txt" }).click();
  await pane.getByRole("textbox", { name: "Comment on line 2" }).fill("Why two?");
  await pane.getByRole("button", { name: "Add the comment" }).click();
  const [{ version, comments }] = await until("the comment", async () => {
    const stored = await call(review);
    return stored.comments.length > 0 && [stored];
  });
  const sent = { ...comments[0], message_id: "m" };
  const all = [sent, { ...sent, id: "b", path: "gone.txt", text: "Where is it?" }];
  await call(review, { version, viewed: [], comments: all }, "PUT");
  await call(`/tasks/${task.id}/run/`, {
    mode: "background",
    resume_from_run_id: task.latest_run.id,
    pending_user_message: "```sh\nsed -i '1i zero' new.txt\nsed -i '/two/a more' new.txt\n```",
  });
  await until("the end of the next run", async () => {
    const { latest_run: run } = await call(`/tasks/${task.id}/`);
    return run.id !== task.latest_run.id && run.status === "completed";
  });
  await page.goto(place);
  await file.getByText(/Sent by .+ in Run 1/).waitFor();
  const rows = await file.locator("tr").allInnerTexts();
  const at = (text) => rows.findIndex((row) => row.includes(text));
  expect(at("two") >= 0 && at("two") + 1 === at("Why two?"), "a later run shows it where its lines are now");
  await pane.getByRole("button", { name: /^1 comment on lines/ }).click();
  await pane.getByText("gone.txt, line 2 of an earlier run: not in this diff").waitFor();
  await checkAccess(page, "comments of an earlier run");
  await file.getByRole("button", { name: "Resolve the comment: Why two?" }).click();
  await file.getByText(/in Run 1 · Resolved/).waitFor();
  await page.reload();
  await file.getByText(/in Run 1 · Resolved/).waitFor();
  expect((await call(review)).comments[0].resolved === true, "the service keeps that it is resolved");
  await file.getByRole("button", { name: "Reopen the comment: Why two?" }).click();
  await file.getByRole("button", { name: "Resolve the comment: Why two?" }).waitFor();
  await page.context().close();
}

export async function startingOverIsAskedFirst(browser, { expect, watched, checkAccess }) {
  const task = await finishedRun("Acceptance: start over by a key", "date > over.txt");
  const page = await watched(browser);
  const runs = async () => (await call(`/tasks/${task.id}/runs/`)).count;
  await page.goto(`${base}/projects/1/tasks/${task.id}`);
  await page.getByRole("region", { name: "The end of the run" }).waitFor();
  await page.keyboard.press("R");
  const dialog = page.getByRole("dialog", { name: "Start over?" });
  await dialog.waitFor();
  await checkAccess(page, "starting over is asked first");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  expect((await runs()) === 1, "a key alone starts no run");
  await page.keyboard.press("R");
  await dialog.getByRole("button", { name: "Start over", exact: true }).click();
  await until("another run", async () => (await runs()) === 2);
  expect(true, "and does so once that is confirmed");
  await page.context().close();
}

export async function brokenSendBackKeepsTheBranch(browser, { expect, watched, checkAccess }) {
  const task = await finishedRun("Acceptance: a branch stands", "echo kept > kept.txt");
  const { head_branch: branch } = task.latest_run.output;
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/tasks/${task.id}?pane=changes`);
  const field = page.getByRole("textbox", { name: "Message to the agent" });
  await field.fill("```sh\necho more > more.txt\nexit 3\n```");
  const send = page.getByRole("button", { name: "Start a run that continues from Run" });
  expect((await send.textContent()).trim() === "Start a run", "what sending does stands on its button");
  await send.click();
  const end = page.getByRole("region", { name: "The end of the run" });
  await end.getByText(`since the run failed. ${branch} stands as an earlier run has left it`).waitFor();
  expect(true, "a run that failed says that the branch of the run before stands");
  const ways = await end.locator("details code, details p").allInnerTexts();
  expect(
    ways[0]?.startsWith(`git fetch origin ${branch}`) &&
      ways[1]?.startsWith("Only this run: needs the branch"),
    `and that its patch needs that branch, which comes first (${ways.join(" | ")})`,
  );
  await checkAccess(page, "the end of a run that failed behind another one");
  await page.goto(`${base}/projects/1/`);
  const row = page.locator(`[data-task="${task.id}"]`);
  await row.getByText("last run").waitFor();
  expect(true, "the list says whose lines it counts");
  const other = await finishedRun("Acceptance: a row beside it", "echo one > one.txt");
  const beside = page.locator(`[data-task="${other.id}"]`);
  await beside.getByText("+1", { exact: true }).waitFor();
  const placeOf = async (one) => one.locator('[class*="slug"]').boundingBox();
  const [its, others] = [await placeOf(row), await placeOf(beside)];
  expect(its.x === others.x, `and its columns stay those of other rows (${its.x}, ${others.x})`);
  await page.setViewportSize({ width: 390, height: 844 });
  const { y } = await beside.getByText("+1", { exact: true }).boundingBox();
  const line = (await placeOf(beside)).y;
  expect(Math.abs(y - line) < 4, `on a phone, its lines stand in the line of its state (${y}, ${line})`);
  const archived = await page.getByRole("button", { name: "Archived" }).boundingBox();
  expect(archived.x + archived.width <= 390, `and all filters are in sight (${archived.x})`);
  await page.context().close();
}

export async function endOfARunSaysWhatIsNext(browser, { expect, watched, checkAccess }) {
  const task = await finishedRun("Acceptance: what next", "date +%N > next.txt");
  const { head_branch: branch } = task.latest_run.output;
  for (const size of ["desk", "phone"]) {
    const page = await watched(browser, { size });
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    const release = size === "desk" && (await holdBack(page, /\/diff\b/));
    await page.goto(`${base}/projects/1/tasks/${task.id}`);
    const end = page.getByRole("region", { name: "The end of the run" });
    if (release) {
      const loading = page.getByText("Loading the changes …");
      // While it appears.
      await loading.evaluate((line) => {
        for (const one of line.getAnimations()) {
          one.pause();
          one.currentTime = 350;
        }
      });
      await checkAccess(page, "changes that are loaded");
      release();
      await loading.waitFor({ state: "detached" });
      await end.waitFor();
    } else await page.getByRole("button", { name: "Transcript" }).waitFor();
    await checkAccess(page, `the end of a run (${size})`);
    const copied = () => page.evaluate(() => navigator.clipboard.readText());
    await end.getByRole("button", { name: "Copy the name of the branch" }).press("Enter");
    await until("the branch", async () => (await copied()) === branch);
    if (size === "phone") await end.getByText("Get the work into a clone of yours").tap();
    await end.getByRole("button", { name: /^Copy: git fetch/ }).press("Enter");
    await until("the command", async () =>
      (await copied()).startsWith(`git fetch origin ${branch} && git switch`),
    );
    expect(true, `the branch, and the commands that fetch it, can be copied (${size})`);
    if (size === "desk") {
      await page.getByRole("button", { name: "Mute the pushes of this task" }).press("Enter");
      const said = await page.getByText("You get no pushes about this task.").boundingBox();
      const send = await page
        .getByRole("button", { name: "Start a run that continues from Run 1" })
        .boundingBox();
      expect(said.y + said.height <= send.y, "a message at the desk stands above what sends");
    }
    const download = page.waitForEvent("download");
    await end.getByRole("link", { name: "Download the patch" }).press("Enter");
    expect((await download).suggestedFilename().endsWith(".patch"), `so can the patch be had (${size})`);
    await end.getByText(`taskbeacon run apply ${task.latest_run.id}`).waitFor();
    await end.getByRole("button", { name: "Continue with a message" }).press("Enter");
    const field = page.getByRole("textbox", { name: "Message to the agent" });
    await until("the field", () => field.evaluate((one) => one === document.activeElement));
    await page.keyboard.type("Shorter, please");
    expect((await field.inputValue()) === "Shorter, please", `sending back leads to the field (${size})`);
    if (size === "phone") {
      await end.getByRole("button", { name: "Archive it" }).tap();
      const asked = page.getByRole("dialog", { name: "Archive this task?" });
      await asked.getByText("1 message is not sent.").waitFor();
      await asked.getByRole("button", { name: "Archive", exact: true }).tap();
      const covered = await page.getByText("Archived.").evaluate((message) => {
        // Taps go through it, to what is below.
        const { x, y, width, height } = message.getBoundingClientRect();
        const places = [0.1, 0.3, 0.5, 0.7, 0.9].flatMap((across) =>
          [0.1, 0.5, 0.9].map((down) => [across, down]),
        );
        return places
          .map(([across, down]) => document.elementFromPoint(x + across * width, y + down * height))
          .map((one) => one?.closest("main :is(a, button, summary, input, select, textarea)"))
          .flatMap((one) => one?.ariaLabel ?? one?.textContent ?? []);
      });
      expect(covered.length === 0, `a message covers no control (${covered.join(", ")})`);
      await until("the archive", async () => (await call(`/tasks/${task.id}/`)).archived);
      await end.getByRole("button", { name: "Archive it" }).waitFor({ state: "detached" });
      expect(true, "and the task can be archived there");
    }
    await page.context().close();
  }
  const failed = await newTask("Acceptance: what next after a failure", [
    ["sh", "echo part > part.txt; exit 3"],
  ]);
  await start(failed, { mode: "background" });
  await until("the failure", async () => (await call(`/tasks/${failed.id}/`)).latest_run.status === "failed");
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/tasks/${failed.id}`);
  const end = page.getByRole("region", { name: "The end of the run" });
  await end.getByText("No branch was pushed, since the run failed").waitFor();
  await end.getByText("taskbeacon run apply").waitFor();
  await checkAccess(page, "the end of a run that failed");
  await end.getByRole("button", { name: "Start over" }).press("Enter");
  const dialog = page.getByRole("dialog", { name: "Start over?" });
  await dialog.getByText("without the work of this one").waitFor();
  await dialog.getByRole("button", { name: "Start over", exact: true }).press("Enter");
  await until("another run", async () => (await call(`/tasks/${failed.id}/runs/`)).count === 2);
  expect(true, "a run that failed says why there is no branch, and can be run again");
  await page.context().close();
}

/** The output is the agent's own, also where its keys are those of the service. */
export async function structuredOutputIsShown(browser, { expect, watched, checkAccess }) {
  const output = {
    answer: 42,
    head_branch: { name: "<b>not</b> a branch" },
    "turned \u202e key": "first line\nsecond line",
    long: "x".repeat(20_000),
  };
  const task = await call("/tasks/", {
    title: "Acceptance: a structured output",
    description: `\`\`\`json output\n${JSON.stringify(output)}\n\`\`\`\n\n\`\`\`sh\ndate +%N > next.txt\n\`\`\``,
    repository: "acme/notes",
    json_schema: { type: "object" },
  });
  await start(task, { mode: "background" });
  const ended = async () => (await call(`/tasks/${task.id}/`)).latest_run;
  await until("the end", async () => (await ended()).status === "completed");
  const { state } = await ended();
  for (const size of ["desk", "phone"]) {
    const page = await watched(browser, { size });
    await page.goto(`${base}/projects/1/tasks/${task.id}`);
    const end = page.getByRole("region", { name: "The end of the run" });
    const result = end.getByRole("group", { name: "Result" });
    await result.getByText("42", { exact: true }).waitFor();
    await result.getByText("first line\nsecond line").waitFor();
    await result.getByText("turned ⟨202E⟩ key").waitFor();
    await result.getByRole("button", { name: "Show all (20,000 characters)" }).waitFor();
    await end.getByText(state.head_branch, { exact: true }).waitFor();
    const { height, width } = await result.boundingBox();
    expect(height <= 360 && width <= 820, `a long result stays in its place (${size}, ${height} px)`);
    await page.waitForFunction(() => !document.querySelector("[data-loading]"));
    await checkAccess(page, `a structured output (${size})`);
    const tones = end.getByRole("group", { name: "What next?" }).locator('button[class*="primary"]');
    expect((await tones.count()) === 1, "one step is named before the others");
    await page.context().close();
  }
}

export async function commentsAreEditedUntilTheyAreSent(browser, { expect, watched, checkAccess }) {
  const task = await newTask("Acceptance: comments on their way", [
    ["sh", "printf '%s\\n' one two three four > lines.txt"],
    ["ask options=go", "Go on?"],
    ["sh", "sed -i '1i zero' lines.txt"],
  ]);
  const { latest_run: run } = await start(task, { mode: "interactive" });
  const review = () => call(`/tasks/${task.id}/runs/${run.id}/review/`);
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/tasks/${task.id}?pane=changes`);
  const file = page.getByRole("region", { name: "lines.txt" });
  const number = (line) => file.getByRole("button", { name: `Comment on line ${line} of` });
  await number(3).waitFor();
  const [from, to] = [await number(2).boundingBox(), await number(4).boundingBox()];
  await page.mouse.move(from.x + 4, from.y + 4);
  await page.mouse.down();
  await page.mouse.move(to.x + 4, to.y + 4, { steps: 8 });
  expect((await number(3).getAttribute("aria-pressed")) === "true", "a drag over numbers marks its lines");
  await page.mouse.up();
  await file.getByRole("textbox", { name: "Comment on lines 2 to 4" }).fill("Why three?");
  await file.getByRole("button", { name: "Add the comment" }).click();
  await until("the comment", async () => (await review()).comments[0]?.start_line === 2);
  await file.getByRole("button", { name: "Edit the comment: Why three?" }).click();
  const field = file.getByRole("textbox", { name: "Comment on lines 2 to 4" });
  await field.fill("Why four?");
  await checkAccess(page, "a comment that is edited");
  await field.press("Control+Enter");
  await until("the other text", async () => (await review()).comments[0]?.text === "Why four?");
  expect((await review()).comments.length === 1, "a comment that is saved can be edited");
  const phone = await watched(browser, { size: "phone" });
  await phone.goto(`${base}/projects/1/tasks/${task.id}?pane=changes`);
  await phone.getByText("Why four?").waitFor();
  for (const one of [page, phone]) await one.locator("[data-comment]").getByText("Not sent yet").waitFor();
  // While the agent asks, messages wait for the end of its turn.
  await page.keyboard.press("f");
  await page.getByRole("button", { name: "Send to the agent" }).click();
  for (const one of [page, phone]) await one.getByText("On its way to the agent", { exact: true }).waitFor();
  const log = page.getByRole("log");
  expect(!(await log.isVisible()), "at the full width, the conversation is hidden");
  await page.getByRole("button", { name: "Show the conversation", exact: true }).click();
  await log.getByText("Why four?").waitFor();
  expect(
    (await phone.getByRole("button", { name: "Send to the agent" }).count()) === 0,
    "on its way everywhere",
  );
  await checkAccess(phone, "a comment on its way on another device");
  await call(`/tasks/${task.id}/runs/${run.id}/command/`, {
    ...{ jsonrpc: "2.0", id: "go", method: "permission_response" },
    params: {
      requestId: (await call(`/tasks/${task.id}/`)).latest_run.state.waiting_for.request_id,
      optionId: "go",
    },
  });
  const read = (one) => one.locator("[data-comment]").getByText("Read by the agent").waitFor();
  for (const one of [page, phone]) await read(one);
  await page.reload();
  await read(file);
  const rows = await file.locator("tr").allInnerTexts();
  expect(
    rows.findIndex((row) => row.includes("four")) + 1 ===
      rows.findIndex((row) => row.includes("On lines 3 to 5")),
    "it stands at its lines, which the agent has moved",
  );
  const shown = await file.getByRole("button", { name: "Edit the comment" }).count();
  expect(
    shown === 0 && (await review()).comments[0].message_id !== null,
    "what the agent has read cannot be changed",
  );
  await page.locator("body").press("n");
  const focused = await page.evaluate(() => document.activeElement.closest("[data-comment]")?.textContent);
  expect(focused?.includes("Why four?"), "and stays at its lines, where keys find it");
  const gone = await file.getByRole("button", { name: "Discard the comment" }).count();
  expect(gone === 0, "or taken back: it was said");
  await phone.context().close();
  await page.context().close();
}

export async function commentsSentFromAPhoneAreSentOnce(browser, { expect, watched, checkAccess }) {
  const task = await finishedRun("Acceptance: sent from a phone", "printf 'one\\ntwo\\n' > sent.txt");
  const { latest_run: run } = task;
  const review = () => call(`/tasks/${task.id}/runs/${run.id}/review/`);
  const comment = { side: "new", hash: null, created_at: null, path: "sent.txt" };
  const { version, viewed } = await review();
  const comments = ["Why two?", "Why one?"].map((text, at) => ({
    ...comment,
    id: text,
    text,
    start_line: 2 - at,
    line: 2 - at,
  }));
  await call(`/tasks/${task.id}/runs/${run.id}/review/`, { version, viewed, comments }, "PUT");
  const desk = await watched(browser);
  await desk.goto(`${base}/projects/1/?search=${encodeURIComponent(task.title)}`);
  await desk.locator(`[data-task="${task.id}"]`).focus();
  await desk.keyboard.press("e");
  const asked = desk.getByRole("dialog", { name: "Archive this task?" });
  await asked.getByText("2 draft comments are not sent.").waitFor();
  expect(!(await call(`/tasks/${task.id}/`)).archived, "the list does not archive them without a word");
  await checkAccess(desk, "an archive that leaves comments behind");
  await desk.context().close();
  const page = await watched(browser, { size: "phone" });
  await page.goto(`${base}/projects/1/tasks/${task.id}`);
  await page.getByRole("button", { name: "Review 1 file · 2 unsent comments" }).tap();
  expect(true, "the end of a run counts the unsent comments");
  await page.getByText("0/1 viewed").waitFor();
  expect(true, "a phone shows how many files are viewed");
  const bar = page.locator("footer");
  const { height } = await bar.boundingBox();
  expect(height <= 64, `what sends them is one line (${height})`);
  await page.getByRole("button", { name: "Add a remark, or discard" }).tap();
  await bar.getByRole("textbox", { name: "Remark on the whole" }).waitFor();
  await bar.getByRole("button", { name: "Discard" }).waitFor();
  await checkAccess(page, "what else can be done with comments on a phone");
  await page.getByRole("button", { name: "Hide the remark" }).tap();
  const left = page.getByRole("button", {
    name: "2 comments on lines that are not in these changes · 2 unresolved",
  });
  const line = await left.boundingBox();
  expect(line.height <= 48, `comments that stand at no line take one (${line.height})`);
  await checkAccess(page, "comments that stand at no line, folded, on a phone");
  await left.tap();
  expect((await left.getAttribute("aria-expanded")) === "true", "and open by a tap");
  await page.getByRole("button", { name: "Discard the comment: Why one?" }).tap();
  const [undo, send] = ["Undo", "Send back: new run"].map((name) => page.getByRole("button", { name }));
  const [above, below] = [await undo.boundingBox(), await send.boundingBox()];
  expect(above.y + above.height <= below.y, "what can be undone stands above what sends");
  const count = await page.locator("footer").getByText("1 comment", { exact: true }).boundingBox();
  expect(count.height < 30, `how many comments are sent stands in one line (${count.height})`);
  await checkAccess(page, "comments that start a run, on a phone");
  await send.tap();
  await page.getByText("This run continues from").waitFor();
  const next = (await call(`/tasks/${task.id}/`)).latest_run;
  await until("the mark", async () => (await review()).comments[0].message_id === `run:${next.id}`);
  await page.goto(`${base}/projects/1/tasks/${task.id}/runs/${run.id}?pane=changes`);
  await page.getByRole("button", { name: /^1 comment on lines that are not in these changes/ }).tap();
  await page.getByText("Sent · Run 2").waitFor();
  expect(
    (await send.count()) === 0,
    "comments that were sent from a phone stay as sent, and are not sent again",
  );
  await page.context().close();
}

export async function commentsSentAgainFromTheTranscriptAreSent(browser, { expect, watched }) {
  const folder = "a/rather/long/path/of/folders";
  const task = await newTask("Acceptance: comments sent again", [
    ["sh", `mkdir -p ${folder}\nprintf '%s\\n' one two > ${folder}/again.txt`],
  ]);
  const { latest_run: run } = await start(task, { mode: "interactive" });
  const page = await watched(browser, { size: "phone" });
  await page.goto(`${base}/projects/1/tasks/${task.id}?pane=changes`);
  await page.getByTitle(/^The workspace of the run/).waitFor();
  for (const part of [
    page.getByTitle(/^The workspace of the run/),
    page.locator("[data-file] header code"),
  ]) {
    const { height } = await part.boundingBox();
    expect(height < 30, `on a phone it stands in one line: ${await part.textContent()} (${height} px)`);
  }
  await page.getByRole("button", { name: "Comment on line 2 of" }).tap();
  await page.getByRole("textbox", { name: "Comment on line 2" }).fill("Why two?");
  await page.getByRole("button", { name: "Add the comment" }).tap();
  const review = () => call(`/tasks/${task.id}/runs/${run.id}/review/`);
  await until("the comment", async () => (await review()).comments.length === 1);
  const bar = page.locator("footer").getByText("1 comment", { exact: true });
  await bar.waitFor();
  await page.context().setOffline(true);
  await page.getByRole("button", { name: "Send to the agent" }).tap();
  await page.getByRole("button", { name: "Transcript" }).tap();
  const again = page.getByRole("button", { name: "Send again" });
  await again.waitFor();
  expect((await review()).comments[0].message_id === null, "offline, no comment counts as sent");
  await page.context().setOffline(false);
  await again.tap();
  await until("the mark", async () => (await review()).comments[0].message_id !== null);
  await page.getByRole("log").getByText("Read by the agent").waitFor();
  for (const when of ["at once", "after a reload"]) {
    if (when === "after a reload") await page.goto(`${base}/projects/1/tasks/${task.id}?pane=changes`);
    else await page.getByRole("button", { name: /^Changes/ }).tap();
    await page.locator("[data-comment]").getByText("Read by the agent").waitFor();
    expect((await bar.count()) === 0, `comments of a message that was sent again are sent (${when})`);
  }
  await page.context().close();
}

export async function unaskedQuestionSaysSo(browser, { expect, watched, checkAccess }) {
  const task = await newTask("Acceptance: nobody is asked", [["ask options=no,yes", "Delete the old data?"]]);
  await start(task, { mode: "background" });
  const page = await watched(browser);
  await page.goto(`${base}/projects/1/tasks/${task.id}`);
  const log = page.getByRole("log");
  await log.getByText("Nobody was asked; went on with yes").waitFor();
  const shown = await log.getByText("Delete the old data?").count();
  expect(
    shown === 2,
    `a question that nobody was asked stands once, beside its answer, and in the task (${shown})`,
  );
  await checkAccess(page, "a question that nobody was asked");
  await page.context().close();
}
