/** Commands for a running agent: JSON-RPC over one endpoint. */
import { request } from "./client";
import { ApiError } from "./errors";
import type { QueuedMessage } from "./types";

export interface RunRef {
  project: number;
  task: string;
  run: string;
}

/** What a route of a run has in its path. */
export const ofRun = ({ project, task, run }: RunRef) => ({
  params: { path: { project_id: String(project), task_id: task, run_id: run } },
});

export const runPath = ({ project, task, run }: RunRef) =>
  `/api/projects/${project}/tasks/${task}/runs/${run}`;

export const downloadPath = (ref: RunRef, storage_path: string) =>
  `${runPath(ref)}/artifacts/download/?${new URLSearchParams({ storage_path })}`;

interface RpcAnswer {
  result?: { messages?: QueuedMessage[] };
  error?: { code: number; message: string };
}

async function send(ref: RunRef, method: string, params = {}, id: string = crypto.randomUUID()) {
  const json = { jsonrpc: "2.0", id, method, params };
  const answer = await request<RpcAnswer>(`${runPath(ref)}/command/`, { method: "POST", json });
  if (answer.error) throw new ApiError(200, { error: answer.error });
  return answer.result?.messages ?? [];
}

/** The id comes back in the receipts, which is how a sent message is found again in the log. */
export const sendMessage = (ref: RunRef, id: string, params: object) => send(ref, "user_message", params, id);

export const fetchQueue = (ref: RunRef) => send(ref, "queue_get");

/** Return the message; nothing if the agent has it already. */
export const takeBack = (ref: RunRef, command_id: string) => send(ref, "queue_clear", { command_id });

export const cancelTurn = (ref: RunRef) => send(ref, "cancel");

export const closeConversation = (ref: RunRef) => send(ref, "close");

export const setOption = (ref: RunRef, configId: string, value: string) =>
  send(ref, "set_config_option", { configId, value });
