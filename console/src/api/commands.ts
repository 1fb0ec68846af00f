/** Commands for a running agent: JSON-RPC over one endpoint. */
import { request } from "./client";
import { ApiError } from "./errors";

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
  result?: Record<string, boolean>;
  error?: { code: number; message: string };
}

async function send(ref: RunRef, method: string, params: object, id: string): Promise<void> {
  const json = { jsonrpc: "2.0", id, method, params };
  const answer = await request<RpcAnswer>(`${runPath(ref)}/command/`, { method: "POST", json });
  if (answer.error) throw new ApiError(200, { error: answer.error });
}

/** The id comes back in the receipts, which is how a sent message is found again in the log. */
export const sendMessage = (ref: RunRef, id: string, content: string, artifactIds: string[]) =>
  send(ref, "user_message", { ...(content ? { content } : {}), artifact_ids: artifactIds }, id);

export const cancelTurn = (ref: RunRef) => send(ref, "cancel", {}, crypto.randomUUID());

export const closeConversation = (ref: RunRef) => send(ref, "close", {}, crypto.randomUUID());

export const setOption = (ref: RunRef, configId: string, value: string) =>
  send(ref, "set_config_option", { configId, value }, crypto.randomUUID());
