/** What the checks say of the work of a run. */
import { api, data } from "./client";
import type { RunRef } from "./commands";
import type { Verification } from "./types";

const ofRun = ({ project, task, run }: RunRef) => ({
  params: { path: { project_id: String(project), task_id: task, run_id: run } },
});

/** Return all attempts, newest first. */
export async function fetchAttempts(ref: RunRef): Promise<Verification[]> {
  const path = "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/verification";
  return data(await api.GET(path, ofRun(ref))).results;
}

/** Check the work again, by the definitions as they are now. */
export async function checkAgain(ref: RunRef): Promise<void> {
  await api.POST("/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/verify", ofRun(ref));
}

/** Accept the work though its verdict is no good one. */
export async function waive(ref: RunRef, reason: string): Promise<void> {
  const path = "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/verification/waive";
  await api.POST(path, { ...ofRun(ref), body: { reason } });
}
