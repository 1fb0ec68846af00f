/** The tasks of the list: what is active in full, and the rest page by page. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { fetchTasks, type TaskFilters } from "../../api/tasks";
import type { RunStatus, Task } from "../../api/types";

const PAGE = 50;
const ACTIVE = 100;
const AGAIN_MS = 10_000;

export function useTaskLists(project: number, filters: TaskFilters) {
  const pages = useInfiniteQuery({
    queryKey: ["tasks", project, filters],
    queryFn: ({ pageParam }) => fetchTasks(project, filters, PAGE, pageParam),
    initialPageParam: 0,
    getNextPageParam: (last, all) => {
      const read = all.reduce((sum, page) => sum + page.results.length, 0);
      return last.results.length && read < last.count ? read : undefined;
    },
    placeholderData: (before) => before,
  });
  // Whatever is active must be on the page, however old it is.
  const wantsActive = !filters.status && !filters.search;
  const running = useActive(project, filters, "in_progress", wantsActive);
  const queued = useActive(project, filters, "queued", wantsActive);
  const lists = [...(pages.data?.pages ?? []).map((page) => page.results), running, queued];
  return { pages, lists };
}

export function useActive(
  project: number,
  filters: TaskFilters,
  status: RunStatus,
  enabled: boolean,
): Task[] {
  const wanted = { ...filters, status };
  const query = useQuery({
    queryKey: ["tasks", project, wanted, "active"],
    queryFn: () => fetchTasks(project, wanted, ACTIVE, 0),
    enabled,
    // No event says that an agent has changed more.
    refetchInterval: ({ state: { data } }) => (status === "in_progress" && data?.count ? AGAIN_MS : false),
  });
  return enabled ? (query.data?.results ?? []) : [];
}
