import type { Item } from "./items";

/** Return the items of a run that is over. An agent that was killed leaves calls without an end: they run no more. */
export function ended(items: readonly Item[]): readonly Item[] {
  return items.map((item) => {
    if (item.kind === "tool" && (item.status === "in_progress" || item.status === "pending"))
      return { ...item, status: "cancelled" };
    if ((item.kind === "agent" || item.kind === "thought") && item.isOpen) return { ...item, isOpen: false };
    return item;
  });
}
