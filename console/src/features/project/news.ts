/** What has happened to the person's tasks since they have last looked, on whichever device that was. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect } from "react";
import { fetchActivity, markSeen } from "../../api/tasks";
import type { Task } from "../../api/types";
import { useProject } from "./project";

const NONE = { count: 0, tasks: new Set<string>() as ReadonlySet<string> };

const newsOf = ({ unread_count, results }: Awaited<ReturnType<typeof fetchActivity>>) => ({
  count: unread_count,
  tasks: new Set(results.flatMap(({ task_id, is_unread }) => (is_unread ? [task_id] : []))),
});

export function useNews() {
  const { project } = useProject();
  const news = useQuery({
    queryKey: ["tasks", project.id, "news"],
    queryFn: () => fetchActivity(project.id),
    select: newsOf,
  });
  return news.data ?? NONE;
}

export function useMarkSeen() {
  const { project } = useProject();
  const queries = useQueryClient();
  return useCallback(
    async (tasks: Task[]) => {
      await markSeen(project.id, tasks);
      await queries.invalidateQueries({ queryKey: ["tasks", project.id, "news"] });
    },
    [queries, project.id],
  );
}

/** The task is on the screen. */
export function useSeen(task: Task | undefined): void {
  const news = useNews();
  const mark = useMarkSeen();
  useEffect(() => {
    // What was not marked is marked with the next news.
    if (task && news.tasks.has(task.id) && document.visibilityState === "visible")
      void mark([task]).catch(() => {});
  }, [task, news, mark]);
}
