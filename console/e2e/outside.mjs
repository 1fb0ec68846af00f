// An agent outside of the workers: it sends what it likes, as fast as it likes.
import { call } from "./api.mjs";
import { stack } from "./browser.mjs";

const project = `${stack.base_url}/api/projects/@current`;

/** An entry of a run's log with an update of the Agent Client Protocol. */
export const update = (fields) => ({
  type: "notification",
  timestamp: new Date().toISOString(),
  notification: { jsonrpc: "2.0", method: "session/update", params: { sessionId: "s", update: fields } },
});

/** Entries of the call of a tool that prints. */
export const toolCall = (id, status) =>
  update({ sessionUpdate: "tool_call", toolCallId: id, title: id, kind: "execute", status });
export const toolPrints = (id, data) =>
  update({ sessionUpdate: "tool_call_update", toolCallId: id, _meta: { terminal_output: { data } } });
export const toolEnds = (id) =>
  update({ sessionUpdate: "tool_call_update", toolCallId: id, status: "completed" });

export const text = (content) => ({ type: "text", text: content });

/** Create a task with a run that no worker takes. Return it, its path, and how to send events and to end it. */
export async function openRun(title) {
  const task = await call("/tasks/", { title, description: "An agent outside of the workers does it." });
  const run = await call(`/tasks/${task.id}/runs/`, { environment: "local" });
  const path = `/tasks/${task.id}/runs/${run.id}`;
  const { token } = await call(`${path}/connection_token/`);
  await call(`${path}/`, { status: "in_progress" }, "PATCH");
  let seq = 0;
  return {
    task,
    path,
    async send(events) {
      const body = events.map((event) => `${JSON.stringify({ seq: ++seq, event })}\n`).join("");
      const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/x-ndjson" };
      const answer = await fetch(`${project}${path}/event_stream/`, { method: "POST", headers, body });
      if (!answer.ok) throw new Error(`sending: ${answer.status} ${await answer.text()}`);
    },
    end: () => call(`${path}/`, { status: "completed" }, "PATCH"),
  };
}

/** A patch that adds a file. */
export function newFile(name, count) {
  const lines = Array.from({ length: count }, (_, index) => `+value_${index} = ${index}\n`).join("");
  return `diff --git a/${name} b/${name}\nnew file mode 100644\n--- /dev/null\n+++ b/${name}\n@@ -0,0 +1,${count} @@\n${lines}`;
}

/** Create a task whose run is over and has left a patch. */
export async function runWithPatch(title, content) {
  const run = await openRun(title);
  const patch = {
    name: "changes.patch",
    type: "output",
    source: "agent",
    content,
    content_type: "text/x-diff",
  };
  await call(`${run.path}/artifacts/`, { artifacts: [patch] });
  await run.end();
  return run;
}
