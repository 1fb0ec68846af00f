import { api, data } from "./client";
import type { RunRef } from "./commands";
import type { FileChange } from "./types";

export interface Changes {
  base: string | null;
  head: string | null;
  files: FileChange[];
}

/** Return all changed files of a run: the service sends them in pages. */
export async function fetchChanges({ project, task, run }: RunRef): Promise<Changes> {
  const path = { project_id: String(project), task_id: task, run_id: run };
  const files: FileChange[] = [];
  for (let query = {}; ; ) {
    const page = data(
      await api.GET("/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}/diff", {
        params: { path, query },
      }),
    );
    files.push(...page.files);
    if (page.next === null) return { base: page.base, head: page.head, files };
    query = { cursor: Number(page.next) };
  }
}
