import { type QueryClient, useQuery } from "@tanstack/react-query";
import { ApiError } from "../../api/errors";
import { fetchRun, fetchRuns, fetchTask } from "../../api/tasks";
import { FailedPage, type FailureProps, Loading, MissingPage } from "../../ui/feedback";
import { usePresence } from "../attention/presence";
import { useSeen } from "../project/news";
import { useProject } from "../project/project";
import { DraftView } from "./DraftView";
import { RunView } from "./RunView";
import { preloadTranscript } from "./useRunTranscript";
import { useShownRun } from "./useShownRun";

const taskQuery = (project: number, task: string) => ({
  queryKey: ["task", task],
  queryFn: () => fetchTask(project, task),
});

interface Address {
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

export default function RunPage({ taskId, runId }: Address) {
  const { project } = useProject();
  const task = useQuery(taskQuery(project.id, taskId));
  const runs = useQuery({ queryKey: ["task", taskId, "runs"], queryFn: () => fetchRuns(project.id, taskId) });
  const latest = task.data?.latest_run ?? null;
  const shownId = useShownRun(taskId, runId, latest);
  const isLatest = shownId === null || shownId === latest?.id;
  const recent = runs.data?.results.find(({ id }) => id === shownId);
  const older = useQuery({
    queryKey: ["task", taskId, "run", shownId],
    queryFn: () => fetchRun(project.id, taskId, shownId as string),
    // Only the newest runs are on the list.
    enabled: !isLatest && runs.isSuccess && !recent,
  });
  const run = isLatest ? latest : (recent ?? older.data ?? null);
  usePresence(taskId);
  useSeen(task.data);

  if (task.isPending || (!isLatest && (runs.isPending || older.isLoading)))
    return <Loading what="the task" />;
  if (!task.data) return <NoTask what="task" error={task.error} onRetry={() => task.refetch()} />;
  const failed = runs.error ? runs : older;
  if (!isLatest && !run) return <NoTask what="run" error={failed.error} onRetry={() => failed.refetch()} />;
  if (!run) return <DraftView task={task.data} />;
  return (
    <RunView
      key={run.id}
      task={task.data}
      run={run}
      runs={runs.data ?? { count: 1, results: [run] }}
      isLatest={isLatest}
    />
  );
}

/** `error`: null if there is none. */
function NoTask({ what, error, onRetry }: FailureProps & { what: "task" | "run" }) {
  if (error && !(error instanceof ApiError && error.status === 404))
    return <FailedPage title={`The ${what} cannot be shown`} error={error} onRetry={onRetry} />;
  return <MissingPage what={what} />;
}
