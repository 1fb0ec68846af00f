/** Tasks in the order in which a person needs them. Pure. */
import type { Run, Task } from "../../api/types";
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

export function groupOf(task: Task, isSeen: (run: Run) => boolean): GroupName {
  const run = task.latest_run as Run | null;
  const state = stateOf(run);
  if (state === "question" || state === "message") return "needs";
  if (state === "running") return "running";
  if (state === "queued") return "queued";
  return run && isOver(run) && !isSeen(run) ? "unseen" : "rest";
}

const position = (task: Task) => Number((task.latest_run as Run | null)?.state.queue_position ?? Infinity);

/** Group lists that may hold the same task more than once; what asks comes before what waits. */
export function groupTasks(lists: Task[][], isSeen: (run: Run) => boolean): Group[] {
  const tasks = new Map(lists.flat().map((task) => [task.id, task]));
  const groups = new Map<GroupName, Task[]>();
  for (const task of tasks.values()) {
    const name = groupOf(task, isSeen);
    groups.set(name, [...(groups.get(name) ?? []), task]);
  }
  groups.get("queued")?.sort((one, other) => position(one) - position(other));
  groups.get("needs")?.sort((one, other) => rank(one) - rank(other));
  for (const name of ["running", "unseen", "rest"] as const) {
    groups.get(name)?.sort((one, other) => other.created_at.localeCompare(one.created_at));
  }
  return (Object.keys(TITLES) as GroupName[])
    .map((name) => ({ name, title: TITLES[name], tasks: groups.get(name) ?? [] }))
    .filter((group) => group.tasks.length > 0);
}

const rank = (task: Task) => (stateOf(task.latest_run as Run | null) === "question" ? 0 : 1);
