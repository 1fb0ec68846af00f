/** What the checks say of the work of a run. */
import { api, data } from "./client";
import { ofRun, type RunRef } from "./commands";
import type { CheckSet, FoundCheck, Verification } from "./types";

/** Return all attempts, newest first. */
export async function fetchAttempts(ref: RunRef): Promise<Verification[]> {
  const path = "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/verification";
  return data(await api.GET(path, ofRun(ref))).results;
}

/** Check the work again, by the definitions as they are now. */
export async function checkAgain(ref: RunRef): Promise<void> {
  await api.POST("/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/verify", ofRun(ref));
}

/** Accept work that is not verified. */
export async function waiveVerdict(ref: RunRef, reason: string): Promise<void> {
  const path = "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/verification/waive";
  await api.POST(path, { ...ofRun(ref), body: { reason } });
}

const SETS = "/api/projects/{project_id}/check_sets";

/** Return the check set of a repository, if it has one. */
export async function fetchCheckSet(project: number, repository: string): Promise<CheckSet | null> {
  const params = { path: { project_id: String(project) }, query: { repository } };
  return data(await api.GET(SETS, { params })).results[0] ?? null;
}

/** Return the check sets that count for a repository: that of the project, and its own. */
export async function fetchPlanned(project: number, repository: string): Promise<CheckSet[]> {
  const params = { path: { project_id: String(project) }, query: { limit: 100 } };
  const [all, own] = await Promise.all([api.GET(SETS, { params }), fetchCheckSet(project, repository)]);
  return [...data(all).results.filter((one) => one.repository === null), ...(own ? [own] : [])];
}

/** Add a check to the check set of a repository; return what workers cannot hold of it. */
export async function takeCheck(project: number, repository: string, check: FoundCheck): Promise<string[]> {
  const path = { project_id: String(project) };
  const set = await fetchCheckSet(project, repository);
  const checks = [...(set?.checks ?? []), check];
  const changed = set
    ? await api.PATCH(`${SETS}/{set_id}`, { params: { path: { ...path, set_id: set.id } }, body: { checks } })
    : await api.POST(SETS, { params: { path }, body: { repository, checks } });
  return data(changed).warnings ?? [];
}
