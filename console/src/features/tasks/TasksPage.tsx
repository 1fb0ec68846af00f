import { useInfiniteQuery } from "@tanstack/react-query";
import { ListTodo, Plus, SearchX } from "lucide-react";
import { useCallback, useDeferredValue, useMemo, useRef } from "react";
import { useSearchParams } from "wouter";
import { fetchTasks, type TaskFilters } from "../../api/tasks";
import type { RunStatus, Verdict } from "../../api/types";
import { classes } from "../../ui/classes";
import { Button } from "../../ui/controls";
import { Empty, Failure, Loading, sayError } from "../../ui/feedback";
import { useKeys } from "../../ui/keys";
import { Page } from "../../ui/page";
import { useActive } from "../project/active";
import { useNeeds } from "../project/inbox";
import { useMarkSeen, useNews } from "../project/news";
import { ProjectSelect } from "../project/ProjectSelect";
import { useProject } from "../project/project";
import { useViewers } from "../project/viewers";
import { Filters, VERDICTS } from "./Filters";
import { groupTasks } from "./groups";
import { Selection } from "./Selection";
import { TaskDialog } from "./TaskDialog";
import { TaskRow } from "./TaskRow";
import styles from "./tasks.module.css";
import { useSelection } from "./useSelection";

const PAGE = 50;

function filtersOf(search: URLSearchParams, user: number): TaskFilters {
  const status = search.get("status");
  const repository = search.get("repository");
  const text = search.get("search");
  return {
    ...(text ? { search: text } : {}),
    ...(status &&
      (VERDICTS.includes(status) ? { verdict: status as Verdict } : { status: status as RunStatus })),
    ...(repository ? { repository } : {}),
    ...(search.get("mine") ? { created_by: user } : {}),
    ...(search.get("archived") ? { archived: "true" as const } : {}),
  };
}

export function TasksPage() {
  const { project, session, href } = useProject();
  const [search, setSearch] = useSearchParams();
  const filters = useDeferredValue(
    useMemo(() => filtersOf(search, session.user.id), [search, session.user.id]),
  );
  const pages = useInfiniteQuery({
    queryKey: ["tasks", project.id, filters],
    queryFn: ({ pageParam }) => fetchTasks(project.id, filters, PAGE, pageParam),
    initialPageParam: 0,
    getNextPageParam: (last, all) => {
      const read = all.reduce((sum, page) => sum + page.results.length, 0);
      return last.results.length && read < last.count ? read : undefined;
    },
    placeholderData: (before) => before,
  });
  // Whatever is active must be on the page, however old it is.
  const wantsActive = !filters.status && !filters.search;
  const running = useActive(project.id, filters, "in_progress", wantsActive);
  const queued = useActive(project.id, filters, "queued", wantsActive);
  const lists = [...(pages.data?.pages ?? []).map((page) => page.results), running, queued];
  const news = useNews().tasks;
  const markSeen = useMarkSeen();
  const viewers = useViewers();
  const asking = useNeeds()?.results;
  const needs = useMemo(() => new Set(asking?.map(({ task }) => task.id)), [asking]);
  const groups = groupTasks(lists, news, needs);
  const tasks = groups.flatMap((group) => group.tasks);
  const searchBox = useRef<HTMLInputElement>(null);
  const isNew = search.has("new");
  const isFiltered = Object.keys(filters).length > 0;
  const set = (name: string, value: string) =>
    setSearch(
      (before) => {
        const after = new URLSearchParams(before);
        if (value) after.set(name, value);
        else after.delete(name);
        return after;
      },
      { replace: true },
    );
  const open = (on: boolean) => set("new", on ? "1" : "");

  const selection = useSelection(tasks);
  const toggle = useRef(selection.toggle);
  toggle.current = selection.toggle;
  // One function for all renderings, so that rows are drawn again only if they have changed.
  const onToggle = useCallback((id: string, isRange: boolean) => toggle.current(id, isRange), []);
  useKeys({
    j: ["Next task", () => selection.move(1)],
    k: ["Task before", () => selection.move(-1)],
    "/": ["Search tasks", () => searchBox.current?.focus()],
    c: () => open(true),
  });

  return (
    <Page
      title="Tasks"
      isWide
      beside={
        <>
          {session.projects.length > 1 && <ProjectSelect className={classes("on-phone", styles.project)} />}
          <Button tone="primary" onClick={() => open(true)}>
            <Plus size={16} /> New task
          </Button>
        </>
      }
    >
      <Filters search={search} onSet={set} searchBox={searchBox} />
      {pages.isError && !pages.data && <Failure error={pages.error} onRetry={() => pages.refetch()} />}
      {pages.isPending && <Loading what="tasks" />}
      {pages.data && tasks.length === 0 && isFiltered && (
        <Empty icon={SearchX} title="No task matches">
          <p>Search for other words, or look through all tasks that are not archived.</p>
          <Button onClick={() => setSearch({})}>Remove the filters</Button>
        </Empty>
      )}
      {pages.data && tasks.length === 0 && !isFiltered && (
        <Empty icon={ListTodo} title="No tasks yet">
          <p>
            A task is a piece of work for an agent. Describe it, choose a repository, and follow the agent
            here.
          </p>
          <Button tone="primary" onClick={() => open(true)}>
            <Plus size={16} /> Create the first task
          </Button>
        </Empty>
      )}
      {tasks.length > 1 && (
        <p className="row ends on-phone">
          <Button tone="quiet" onClick={selection.all}>
            Select all {tasks.length}
          </Button>
        </p>
      )}
      {groups.map((group) => (
        <section key={group.name} aria-labelledby={`group-${group.name}`} className={styles.group}>
          <header
            className={classes(
              "row apart small",
              styles.groupHead,
              group.name === "needs" ? "attention" : "dim",
            )}
          >
            <h2 id={`group-${group.name}`}>
              {group.title} <span className="faint">{group.tasks.length}</span>
            </h2>
            {group.unseen.length > 0 && (
              <Button tone="quiet" onClick={() => void markSeen(group.unseen).catch(sayError)}>
                Mark all {group.name === "needs" && "that failed "}as seen
              </Button>
            )}
          </header>
          <ul className={classes("card divided clips", styles.rows)}>
            {group.tasks.map((task) => (
              <TaskRow
                key={task.id}
                task={task}
                href={href(`/tasks/${task.id}`)}
                viewers={viewers?.get(task.id)}
                isUnseen={news.has(task.id)}
                isSelected={selection.has(task.id)}
                onToggle={onToggle}
              />
            ))}
          </ul>
        </section>
      ))}
      <Selection of={selection} />
      {pages.hasNextPage && (
        <div className={styles.more}>
          <Button onClick={() => pages.fetchNextPage()} disabled={pages.isFetchingNextPage}>
            Show more
          </Button>
        </div>
      )}
      {isNew && <TaskDialog onClose={() => open(false)} />}
    </Page>
  );
}
