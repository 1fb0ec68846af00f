import { ListTodo, Plus, SearchX } from "lucide-react";
import { useDeferredValue, useMemo, useRef } from "react";
import { useSearchParams } from "wouter";
import type { TaskFilters } from "../../api/tasks";
import type { Run, RunStatus } from "../../api/types";
import { Button } from "../../ui/controls";
import { Empty, Failure, Loading } from "../../ui/feedback";
import { PageHeading } from "../../ui/heading";
import { useKeys } from "../../ui/keys";
import { useNeeds } from "../project/inbox";
import { ProjectSelect } from "../project/ProjectSelect";
import { useProject } from "../project/project";
import { useSeen } from "../project/seen";
import { useViewers } from "../project/viewers";
import { Filters } from "./Filters";
import { groupTasks } from "./groups";
import { NewTask } from "./NewTask";
import { TaskRow } from "./TaskRow";
import styles from "./tasks.module.css";
import { useTaskLists } from "./useTasks";

function filtersOf(search: URLSearchParams, user: number): TaskFilters {
  const status = search.get("status") as RunStatus | null;
  const repository = search.get("repository");
  const text = search.get("search");
  return {
    ...(text ? { search: text } : {}),
    ...(status ? { status } : {}),
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
  const { pages, lists } = useTaskLists(project.id, filters);
  const isSeen = useSeen();
  const viewers = useViewers();
  const asking = useNeeds()?.results;
  const needs = useMemo(() => new Set(asking?.map(({ task }) => task.id)), [asking]);
  const groups = groupTasks(lists, isSeen, needs);
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

  // A row that moves to another group loses the focus, but not its place for these keys.
  const chosen = useRef<string | undefined>(undefined);
  const move = (by: number) => {
    const rows = [...document.querySelectorAll<HTMLElement>("main [data-task]")];
    const focused = rows.indexOf(document.activeElement as HTMLElement);
    const at = focused < 0 ? rows.findIndex(({ dataset }) => dataset.task === chosen.current) : focused;
    const next = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
    chosen.current = next?.dataset.task;
    next?.focus();
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    "/": () => searchBox.current?.focus(),
    c: () => open(true),
  });

  return (
    <main className={styles.page}>
      <header className={styles.head}>
        <PageHeading>Tasks</PageHeading>
        {session.projects.length > 1 && <ProjectSelect className={styles.project} />}
        <Button tone="primary" onClick={() => open(true)}>
          <Plus size={16} aria-hidden="true" /> New task
        </Button>
      </header>
      <Filters search={search} onSet={set} searchBox={searchBox} />
      {pages.isError && !pages.data && <Failure error={pages.error} onRetry={() => pages.refetch()} />}
      {pages.isPending && <Loading what="tasks" />}
      {pages.data && tasks.length === 0 && <NoTasks isFiltered={isFiltered} onNew={() => open(true)} />}
      {groups.map((group) => (
        <section key={group.name} aria-labelledby={`group-${group.name}`} className={styles.group}>
          <h2 id={`group-${group.name}`} className={styles.groupTitle} data-group={group.name}>
            {group.title} <span className={styles.count}>{group.tasks.length}</span>
          </h2>
          <ul className={styles.rows}>
            {group.tasks.map((task) => (
              <TaskRow
                key={task.id}
                task={task}
                href={href(`/tasks/${task.id}`)}
                viewers={viewers.get(task.id)}
                isUnseen={group.name === "unseen" || isUnseen(task.latest_run as Run | null, isSeen)}
              />
            ))}
          </ul>
        </section>
      ))}
      {pages.hasNextPage && (
        <div className={styles.more}>
          <Button onClick={() => pages.fetchNextPage()} disabled={pages.isFetchingNextPage}>
            Show more
          </Button>
        </div>
      )}
      {isNew && <NewTask onClose={() => open(false)} />}
    </main>
  );
}

const isUnseen = (run: Run | null, isSeen: (run: Run) => boolean) => run !== null && !isSeen(run);

function NoTasks({ isFiltered, onNew }: { isFiltered: boolean; onNew: () => void }) {
  if (isFiltered) {
    return (
      <Empty icon={SearchX} title="No task matches">
        <p>Remove a filter, or search for other words.</p>
      </Empty>
    );
  }
  return (
    <Empty icon={ListTodo} title="No tasks yet">
      <p>
        A task is a piece of work for an agent. Describe it, choose a repository, and follow the agent here.
      </p>
      <Button tone="primary" onClick={onNew}>
        <Plus size={16} aria-hidden="true" /> Create the first task
      </Button>
    </Empty>
  );
}
