/** Which tasks of a list are selected, by the pointer and by keys. */
import { useRef, useState } from "react";
import type { Task } from "../../api/types";

const NONE: ReadonlySet<string> = new Set();

export function useSelection(tasks: readonly Task[]) {
  const [ids, setIds] = useState(NONE);
  /** The row that the keys are at. One that moves to another group loses the focus, but not its place. */
  const at = useRef<string | undefined>(undefined);
  /** Where a row goes that has vanished: the next one takes its place. */
  const index = useRef(0);
  const indexOf = (id: string | undefined) => {
    const found = tasks.findIndex((task) => task.id === id);
    return found < 0 ? Math.min(index.current, tasks.length - 1) : found;
  };
  /** Return the id of the row that the keys are at; undefined before the first key. */
  const here = () =>
    document.activeElement?.closest("li")?.querySelector<HTMLElement>("[data-task]")?.dataset.task ??
    at.current;
  const goTo = (next: number) => {
    index.current = next;
    at.current = tasks[next]?.id;
  };
  const select = (from: number, to: number, isOn: boolean) => {
    const range = tasks.slice(Math.min(from, to), Math.max(from, to) + 1);
    const next = new Set(ids);
    for (const { id } of range) isOn ? next.add(id) : next.delete(id);
    setIds(next);
  };
  const move = (by: number, selects = false) => {
    const id = here();
    const from = indexOf(id);
    const to = id === undefined ? from : Math.min(Math.max(from + by, 0), tasks.length - 1);
    if (selects) select(from, to, true);
    goTo(to);
    document.querySelector<HTMLElement>(`main [data-task="${tasks[to]?.id}"]`)?.focus();
  };
  return {
    selected: tasks.filter(({ id }) => ids.has(id)),
    has: (id: string) => ids.has(id),
    /** Select a row or take it out; with `isRange` all rows from the last one on. */
    toggle: (id: string, isRange = false) => {
      const [from, to] = [indexOf(at.current), indexOf(id)];
      const isOn = !ids.has(id);
      select(isRange ? from : to, to, isOn);
      goTo(to);
    },
    all: () => setIds(new Set(tasks.map(({ id }) => id))),
    none: () => setIds(NONE),
    move,
    /** The task that the keys are at; none before the first key. */
    current: (): Task[] => {
      const id = here();
      return id === undefined ? [] : tasks.slice(indexOf(id)).slice(0, 1);
    },
  };
}
