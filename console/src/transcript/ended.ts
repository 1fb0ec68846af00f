import type { Item } from "./items";

/** Return the item; a call without an end as one that was cancelled. */
export function withoutOpenCall(item: Item): Item {
  const isOpen = item.kind === "tool" && (item.status === "in_progress" || item.status === "pending");
  return isOpen ? { ...item, status: "cancelled" } : item;
}

/** Return the items of a run that is over. An agent that was killed leaves calls and questions without an end. */
export function ended(items: readonly Item[]): readonly Item[] {
  return items.map((item) => {
    if ((item.kind === "agent" || item.kind === "thought") && item.isOpen) return { ...item, isOpen: false };
    if (item.kind === "question" && item.state === "open") return { ...item, state: "closed" };
    return withoutOpenCall(item);
  });
}
