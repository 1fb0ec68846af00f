/** Tasks in the order in which a person needs them. Pure. */
import type { Task } from "../../api/types";
import { isOver } from "../project/runState";

const TITLES = {
  needs: "Needs you",
  running: "Running",
  queued: "Queued",
  unseen: "Finished, not seen",
  rest: "Everything else",
};

type GroupName = keyof typeof TITLES;

function groupOf(task: Task, news: ReadonlySet<string>, needs: ReadonlySet<string>): GroupName {
  const run = task.latest_run;
  if (needs.has(task.id)) return "needs";
  if (run?.status === "in_progress") return "running";
  if (run?.status === "queued") return "queued";
  if (!isOver(run) || !news.has(task.id)) return "rest";
  return run?.status === "failed" ? "needs" : "unseen";
}

const position = (task: Task) => Number(task.latest_run?.state.queue_position ?? Infinity);

type Order = (one: Task, other: Task) => number;

const newestFirst: Order = (one, other) => other.last_activity_at.localeCompare(one.last_activity_at);

/**
 * Group lists that may hold the same task more than once; what asks comes before what waits. `needs` are the tasks that
 * the inbox has, in its order, `news` those with unseen activity: a run that asks another person works, as far as this one
 * is concerned, and one that has failed needs the person who has not seen it.
 */
export function groupTasks(lists: Task[][], news: ReadonlySet<string>, needs: ReadonlySet<string>) {
  const all = [...new Map(lists.flat().map((task) => [task.id, task])).values()].sort(newestFirst);
  const places = new Map([...needs].map((id, at) => [id, at]));
  const place = ({ id }: Task) => places.get(id) ?? needs.size;
  const orders: Partial<Record<GroupName, Order>> = {
    needs: (one, other) => place(one) - place(other),
    queued: (one, other) => position(one) - position(other),
  };
  return (Object.keys(TITLES) as GroupName[])
    .map((name) => {
      const tasks = all.filter((task) => groupOf(task, news, needs) === name).sort(orders[name]);
      /** The tasks that leave the group once the person has seen them. */
      const unseen = tasks.filter(({ id }) => (name === "needs" ? !needs.has(id) : name === "unseen"));
      return { name, title: TITLES[name], tasks, unseen };
    })
    .filter(({ tasks }) => tasks.length > 0);
}
