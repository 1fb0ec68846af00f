/** The tasks of the list: what is active in full, and the rest page by page. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { fetchTasks, type TaskFilters } from "../../api/tasks";
import { useActive } from "../project/active";

const PAGE = 50;

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
