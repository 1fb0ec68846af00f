import type { InboxRow } from "../../api/types";

/** Return the ids of tasks of which the rows have more than one run: their title does not say which run asks. */
export function tasksWithSeveralRuns(rows: readonly Pick<InboxRow, "task" | "run">[]): Set<string> {
  const first = new Map<string, string>();
  const several = new Set<string>();
  for (const { task, run } of rows) {
    if ((first.get(task.id) ?? run.id) !== run.id) several.add(task.id);
    first.set(task.id, run.id);
  }
  return several;
}
