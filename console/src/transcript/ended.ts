import type { Item } from "./items";

/** Return the item; a call without an end as one that was cancelled. */
export function withoutOpenCall(item: Item): Item {
  const isOpen = item.kind === "tool" && (item.status === "in_progress" || item.status === "pending");
  return isOpen ? { ...item, status: "cancelled" } : item;
}

// "Cloning …", "Running tests…", "Check tests (result): started": what is done at the moment.
const PRESENT = /^\p{Lu}\p{Ll}+ing\b|(…|\.\.\.|: started)$/u;

/**
 * Return the items of a run that is over. An agent that was killed leaves calls and questions without an end; a step that
 * says what is done at the moment says nothing any more.
 */
export function ended(items: readonly Item[]): readonly Item[] {
  return items.flatMap((item) => {
    if (item.kind === "steps") {
      const steps = item.steps.filter((step) => !PRESENT.test(step));
      return steps.length > 0 ? { ...item, steps } : [];
    }
    if ((item.kind === "agent" || item.kind === "thought") && item.isOpen) return { ...item, isOpen: false };
    if (item.kind === "question" && item.state === "open") return { ...item, state: "closed" };
    return withoutOpenCall(item);
  });
}
