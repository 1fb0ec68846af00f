/** Tasks in the order in which a person needs them. Pure. */
import type { Task } from "../../api/types";
import { isBad, isOver } from "../project/runState";

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

type Order = (one: Task, other: Task) => number;

const byTrouble: Order = (one, other) => Number(isBad(other.latest_run)) - Number(isBad(one.latest_run));
const newestFirst: Order = (one, other) => other.last_activity_at.localeCompare(one.last_activity_at);
const ORDERS: Partial<Record<GroupName, Order>> = {
  queued: (one, other) => position(one) - position(other),
  unseen: (one, other) => byTrouble(one, other) || newestFirst(one, other),
};

/**
 * Group lists that may hold the same task more than once; what asks comes before what waits. `needs` are the tasks that
 * the inbox has, `news` those with unseen activity: a run that asks another person works, as far as this one is concerned.
 */
export function groupTasks(lists: Task[][], news: ReadonlySet<string>, needs: ReadonlySet<string>): Group[] {
  const all = [...new Map(lists.flat().map((task) => [task.id, task])).values()];
  // As in the inbox.
  const places = new Map([...needs].map((id, at) => [id, at]));
  const asInInbox: Order = (one, other) => (places.get(one.id) ?? 0) - (places.get(other.id) ?? 0);
  return (Object.keys(TITLES) as GroupName[])
    .map((name) => {
      const tasks = all.filter((task) => groupOf(task, news, needs) === name);
      return {
        name,
        title: TITLES[name],
        tasks: tasks.sort(name === "needs" ? asInInbox : (ORDERS[name] ?? newestFirst)),
      };
    })
    .filter(({ tasks }) => tasks.length > 0);
}
