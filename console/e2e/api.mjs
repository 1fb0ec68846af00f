// The API with the key of the stack: scenes create their tasks by it.
import { AsyncLocalStorage } from "node:async_hooks";
import { stack } from "./browser.mjs";

const project = `${stack.base_url}/api/projects/@current`;

/** The tasks that a scene has started. */
const started = new AsyncLocalStorage();

export async function call(path, body, method = body ? "POST" : "GET") {
  const answer = await fetch(project + path, {
    method,
    headers: { Authorization: `Bearer ${stack.api_key}`, "Content-Type": "application/json" },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? null : answer.json();
}

/** Create a task that the built-in agent does step by step. Return it. */
export function newTask(title, steps) {
  const description = steps.map(([info, text]) => `\`\`\`${info}\n${text}\n\`\`\``).join("\n\n");
  return call("/tasks/", { title, description });
}

/** Create such a task, and run it. Return the task. */
export async function newRun(title, steps) {
  return start(await newTask(title, steps), { mode: "interactive" });
}

/** Run a task whose agent sends one request, and says what it hears. Return the task. */
export async function newRequest(title, method, params) {
  const task = await call("/tasks/", { title, description: JSON.stringify({ method, params }) });
  return start(task, { mode: "interactive", runtime_adapter: "actor", model: "m" });
}

/** End the run of a task after the scene. */
export const endLater = (id) => started.getStore().add(id);

/** Run a task. Return it. */
export function start({ id }, options) {
  endLater(id);
  return call(`/tasks/${id}/run/`, options);
}

/** Play a scene, then end the runs that it has left waiting: each has a place of a worker. */
export function withRuns(scene) {
  return started.run(new Set(), async () => {
    try {
      await scene();
    } finally {
      for (const id of started.getStore()) await endRun(id);
    }
  });
}

async function endRun(id) {
  const isLive = async () => {
    const { latest_run: run } = await call(`/tasks/${id}/`);
    return ["queued", "in_progress"].includes(run.status) ? run : null;
  };
  const run = await isLive();
  if (!run) return;
  try {
    await call(`/tasks/${id}/runs/${run.id}/`, { status: "cancelled" }, "PATCH");
  } catch (error) {
    // It may have ended by itself meanwhile.
    if (await isLive()) throw error;
  }
}
