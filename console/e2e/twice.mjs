// What is clicked, tapped or pressed twice is done once, and nothing else is done by the second click.
import { call, endLater, newTask, start } from "./api.mjs";
import { base, holdBack } from "./browser.mjs";

/**
 * Click twice at one place, without a pause: each one as a first click, as phones count them. What `aimed` does comes
 * between the look at the place and the first click.
 */
async function clickTwice(button, size, aimed = async () => {}) {
  const page = button.page();
  await button.click({ trial: true });
  const label = await button.textContent();
  const { x, y, width, height } = await button.boundingBox();
  await aimed();
  const met = await page.evaluateHandle(() => {
    const labels = [];
    const onDown = ({ target }) => labels.push((target.closest("button") ?? target).textContent);
    addEventListener("pointerdown", onDown, true);
    return labels;
  });
  for (let count = 0; count < 2; count++) {
    const place = [x + width / 2, y + height / 2];
    await (size === "desk" ? page.mouse.click(...place) : page.touchscreen.tap(...place));
  }
  const [first] = await met.jsonValue();
  if (first !== label) throw new Error(`"${label}" has moved: the first click met "${first}"`);
}

export async function taskIsCreatedOnce(browser, { expect, watched }) {
  const pressed = (page) => Promise.all([1, 2].map(() => page.keyboard.press("Control+Enter")));
  // What says why an agent cannot be chosen comes while the finger is on its way.
  const doubleTap = async (page, button, release) => {
    const says = page.getByText(/^\d agents? cannot be chosen$/);
    await clickTwice(button, "phone", async () => {
      expect((await says.count()) === 0, "agents are not known before their answer");
      release();
      await says.waitFor();
    });
  };
  for (const [size, how, act] of [
    ["desk", "double click", (_page, button) => button.dblclick()],
    ["desk", "key pressed twice", pressed],
    [
      "desk",
      "key pressed twice in the last field",
      async (page) => {
        await page.getByRole("dialog").getByLabel("Repository").focus();
        await pressed(page);
      },
    ],
    ["phone", "double tap", doubleTap],
  ]) {
    const page = await watched(browser, { size });
    const sent = [];
    page.on(
      "request",
      (request) => request.method() === "POST" && sent.push(new URL(request.url()).pathname),
    );
    const release = await holdBack(page, /\/agents$/);
    await page.goto(`${base}/projects/1/?new=1`);
    await page.getByLabel("What shall the agent do?").fill(`\`\`\`say\nOnce by ${how}\n\`\`\``);
    await act(page, page.getByRole("button", { name: "Start", exact: true }), release);
    await page.waitForURL(/\/tasks\//);
    release();
    endLater(new URL(page.url()).pathname.split("/").at(-1));
    const tasks = sent.filter((path) => path.endsWith("/tasks"));
    const runs = sent.filter((path) => path.endsWith("/run"));
    expect(tasks.length === 1 && runs.length === 1, `a ${how} creates one task and one run (${sent})`);
    await page.context().close();
  }
}

export async function secondClickDoesNothing(browser, { expect, watched }) {
  for (const size of ["desk", "phone"]) {
    const page = await watched(browser, { size });
    const task = await newTask("Acceptance: a second click", [["ask", "Go on?"]]);
    const path = `/tasks/${task.id}`;
    await start(task, { mode: "interactive" });
    const runs = async () => (await call(`${path}/runs/`)).results;
    await page.goto(`${base}/projects/1${path}`);
    const end = page.getByRole("button", { name: "End run" });
    const sure = page.getByRole("button", { name: "Really end it" });
    await clickTwice(end, size);
    await sure.waitFor();
    const { latest_run: asked } = await call(`${path}/`);
    expect(asked.status !== "cancelled", `a double click does not end a run (${size})`);
    // A click here would make the next one a second click.
    await sure.and(page.locator('[aria-disabled="false"]')).press("Enter");
    const again = page.getByRole("button", { name: "Start over" });
    await clickTwice(again, size);
    const dialog = page.getByRole("dialog", { name: "Start over?" });
    const really = dialog.getByRole("button", { name: "Start over", exact: true });
    await really.waitFor();
    expect((await runs()).length === 1, `a double click starts nothing over (${size})`);
    await page.getByText(/ ended it in the console\.$/).waitFor();
    expect(true, `its end says who has ended it (${size})`);
    await really.press("Enter");
    await end.waitFor();
    const [latest, ...earlier] = await runs();
    expect(earlier.length === 1, `"Start over" starts one run (${size})`);
    expect(["queued", "in_progress"].includes(latest.status), `and does not end it (${size})`);
    await page.context().close();
  }
}

/** Two presses in one moment of the page, by keys: neither is a second click. */
export async function actionUnderWayIsNotBegunAgain(browser, { expect, watched }) {
  const { id } = await call("/tasks/", { title: "Acceptance: one mute", description: "Nobody runs it." });
  const page = await watched(browser);
  const sent = [];
  page.on("request", (request) => request.url().includes("/mute") && sent.push(request.method()));
  const release = await holdBack(page, /\/mute\/$/);
  const asked = page.waitForRequest(/\/mute\/$/);
  await page.goto(`${base}/projects/1/tasks/${id}`);
  await page.getByRole("button", { name: "Mute the pushes of this task" }).evaluate((button) => {
    button.click();
    button.click();
  });
  const muted = page.getByRole("button", { name: "Get pushes about this task again" });
  await muted.waitFor();
  release();
  await (await (await asked).response()).finished();
  // Drawn, if it is drawn at all.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))));
  expect(await muted.isVisible(), "an answer that is older than the change does not undo it");
  const changes = sent.filter((method) => method !== "GET");
  expect(String(changes) === "PUT", `what is asked for twice at once is asked for once (${sent})`);
  await page.context().close();
}
