/** The tasks whose runs are at work, or are to be judged. */
import { useQueries, useQuery } from "@tanstack/react-query";
import { fetchTasks, type TaskFilters } from "../../api/tasks";
import type { InboxRow, Run, RunStatus, Task } from "../../api/types";

const MOST = 100;
const AGAIN_MS = 10_000;

const activeQuery = (project: number, wanted: TaskFilters) => ({
  queryKey: ["tasks", project, wanted, "active"],
  queryFn: () => fetchTasks(project, wanted, MOST, 0),
});

export function useActive(
  project: number,
  filters: TaskFilters,
  status: RunStatus,
  enabled: boolean,
): Task[] {
  const query = useQuery({
    ...activeQuery(project, { ...filters, status }),
    enabled,
    // No event says that an agent has changed more.
    refetchInterval: ({ state: { data } }) => (status === "in_progress" && data?.count ? AGAIN_MS : false),
  });
  return enabled ? (query.data?.results ?? []) : [];
}

const ASKING: TaskFilters[] = [
  { status: "in_progress" },
  { verdict: "refuted" },
  { verdict: "inconclusive" },
];

/** The runs that questions are of, by their ids: a question has no figures. */
export function useAskingRuns(rows: readonly InboxRow[]): ReadonlyMap<string, Run> {
  const projects = [...new Set(rows.map(({ project_id: id }) => id))];
  return useQueries({
    queries: projects.flatMap((project) => ASKING.map((wanted) => activeQuery(project, wanted))),
    combine: (lists) => {
      const tasks = lists.flatMap(({ data }) => data?.results ?? []);
      return new Map(tasks.flatMap(({ latest_run: run }) => (run ? [[run.id, run]] : [])));
    },
  });
}
