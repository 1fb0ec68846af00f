import type { InboxRow } from "../../api/types";

/** Return the ids of tasks of which the rows have more than one run: their title does not say which run asks. */
export function tasksWithSeveralRuns(rows: readonly Pick<InboxRow, "task" | "run">[]): Set<string> {
  const runs = new Map(rows.map(({ task, run }) => [task.id, run.id]));
  return new Set(rows.flatMap(({ task, run }) => (runs.get(task.id) === run.id ? [] : task.id)));
}
