/** What the page of a run asks for, also before it is shown. */
import type { QueryClient } from "@tanstack/react-query";
import { fetchTask } from "../../api/tasks";
import { preloadTranscript } from "./useRunTranscript";

export const taskQuery = (project: number, task: string) => ({
  queryKey: ["task", task],
  queryFn: () => fetchTask(project, task),
});

export interface Address {
  taskId: string;
  /** Null: the latest run. */
  runId: string | null;
}

/** Ask for what the page will show, while the session is still being asked for. */
export async function preload(queries: QueryClient, project: number, { taskId, runId }: Address) {
  const task = await queries.fetchQuery(taskQuery(project, taskId));
  const run = task.latest_run;
  if (run && (runId === null || runId === run.id))
    preloadTranscript({ project, task: taskId, run: run.id }, run);
}
