/** What a run has changed, and the caller's own review of it. */
import { api, data, request } from "./client";
import { ofRun, type RunRef, runPath } from "./commands";
import type { Diff, FileChange, Review } from "./types";

/** What the files are compared with: where the run began, or the first run on its branch, or the tip of its base now. */
export type Base = "start" | "first" | "branch";

/** Return all changed files of a run: the service sends them in pages, of one state of the files each. */
export async function fetchChanges(ref: RunRef, base: Base): Promise<Diff> {
  const route = "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/diff";
  let first: Diff | null = null;
  const files: FileChange[] = [];
  for (let cursor = 0; ; ) {
    const query = { source: "auto" as const, base, cursor };
    const page = data(await api.GET(route, { params: { ...ofRun(ref).params, query } }));
    if (first && page.tree !== first.tree) return fetchChanges(ref, base);
    first ??= page;
    files.push(...page.files);
    if (page.next === null) return { ...first, files };
    cursor = Number(page.next);
  }
}

/** Return the lines that a file has at the base; null if they are not known. */
export async function fetchLines(ref: RunRef, base: Base, path: string): Promise<string[] | null> {
  const route = "/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/diff/file";
  const params = { ...ofRun(ref).params, query: { source: "auto" as const, base, path } };
  const { text } = data(await api.GET(route, { params }));
  return text?.replace(/\n$/, "").split("\n") ?? null;
}

export const fetchReview = (ref: RunRef): Promise<Review> => request(`${runPath(ref)}/review/`);

export const storeReview = (ref: RunRef, { version, viewed, comments }: Review): Promise<Review> =>
  request(`${runPath(ref)}/review/`, { method: "PUT", json: { version, viewed, comments } });
