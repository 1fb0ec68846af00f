/** Tasks in the order in which a person needs them. Pure. */
import type { Task } from "../../api/types";
import { isOver, stateOf } from "../project/runState";

export type GroupName = "needs" | "running" | "queued" | "unseen" | "rest";

export interface Group {
  name: GroupName;
  title: string;
  tasks: Task[];
}

const TITLES: Record<GroupName, string> = {
  needs: "Needs you",
  running: "Running",
  queued: "Queued",
  unseen: "Finished, not seen",
  rest: "Everything else",
};

function groupOf(task: Task, news: ReadonlySet<string>, needs: ReadonlySet<string>): GroupName {
  const run = task.latest_run;
  if (needs.has(task.id)) return "needs";
  if (run?.status === "in_progress") return "running";
  if (run?.status === "queued") return "queued";
  return isOver(run) && news.has(task.id) ? "unseen" : "rest";
}

const position = (task: Task) => Number(task.latest_run?.state.queue_position ?? Infinity);

/**
 * Group lists that may hold the same task more than once; what asks comes before what waits. `needs` are the tasks that
 * the inbox has, `news` those with unseen activity: a run that asks another person works, as far as this one is concerned.
 */
export function groupTasks(lists: Task[][], news: ReadonlySet<string>, needs: ReadonlySet<string>): Group[] {
  const tasks = new Map(lists.flat().map((task) => [task.id, task]));
  const groups = new Map<GroupName, Task[]>();
  for (const task of tasks.values()) {
    const name = groupOf(task, news, needs);
    groups.set(name, [...(groups.get(name) ?? []), task]);
  }
  groups.get("queued")?.sort((one, other) => position(one) - position(other));
  groups.get("needs")?.sort((one, other) => rank(one) - rank(other));
  for (const name of ["running", "unseen", "rest"] as const) {
    groups.get(name)?.sort((one, other) => other.last_activity_at.localeCompare(one.last_activity_at));
  }
  return (Object.keys(TITLES) as GroupName[])
    .map((name) => ({ name, title: TITLES[name], tasks: groups.get(name) ?? [] }))
    .filter((group) => group.tasks.length > 0);
}

const rank = (task: Task) => (stateOf(task.latest_run) === "question" ? 0 : 1);
