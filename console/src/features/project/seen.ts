/** Which finished runs this browser has shown. Tabs share it. */
import { useSyncExternalStore } from "react";

const KEY = "taskbeacon.seen";
const MOST = 500;

interface Seen {
  /** Runs that ended before are not news to a browser that sees the console for the first time. */
  since: string;
  runs: string[];
}

function read(): Seen {
  try {
    const value = JSON.parse(localStorage.getItem(KEY) ?? "null");
    if (value && typeof value.since === "string" && Array.isArray(value.runs)) return value;
  } catch {
    // Another program's value: begin again.
  }
  const first = { since: new Date().toISOString(), runs: [] };
  localStorage.setItem(KEY, JSON.stringify(first));
  return first;
}

let seen = read();
const listeners = new Set<() => void>();

function change(next: Seen): void {
  seen = next;
  for (const listener of listeners) listener();
}

window.addEventListener("storage", (event) => {
  if (event.key === KEY) change(read());
});

export function markSeen(run: string): void {
  if (seen.runs.includes(run)) return;
  const next = { ...seen, runs: [run, ...seen.runs].slice(0, MOST) };
  localStorage.setItem(KEY, JSON.stringify(next));
  change(next);
}

export function useSeen(): (run: { id: string; completed_at: string | null }) => boolean {
  const current = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => seen,
  );
  return ({ id, completed_at }) =>
    completed_at === null || completed_at <= current.since || current.runs.includes(id);
}
