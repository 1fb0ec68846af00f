// The API with the key of the stack: scenes create their tasks by it.
import { stack } from "./browser.mjs";

const project = `${stack.base_url}/api/projects/@current`;

export async function call(path, body) {
  const answer = await fetch(project + path, {
    method: body ? "POST" : "GET",
    headers: { Authorization: `Bearer ${stack.api_key}`, "Content-Type": "application/json" },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

/** Create a task that the built-in agent does step by step, and run it. Return the task. */
export async function newRun(title, steps, mode = "interactive") {
  const description = steps.map(([info, text]) => `\`\`\`${info}\n${text}\n\`\`\``).join("\n\n");
  const task = await call("/tasks/", { title, description });
  return call(`/tasks/${task.id}/run/`, { mode });
}

/** Run a task whose agent sends one request, and says what it hears. Return the task. */
export async function newRequest(title, method, params) {
  const task = await call("/tasks/", { title, description: JSON.stringify({ method, params }) });
  return call(`/tasks/${task.id}/run/`, { mode: "interactive", runtime_adapter: "actor", model: "m" });
}
