/** Keys of the keyboard: single ones, and pairs such as `g t`. Off while a person types. */
import { useLayoutEffect, useRef } from "react";

export type Keys = Record<string, (event: KeyboardEvent) => void>;

const PAIR_MS = 1000;
/** The keys that may be held down: they only move. */
const REPEAT = new Set(["j", "k"]);

function isTyping(target: EventTarget | null): boolean {
  const element = target instanceof HTMLElement ? target : null;
  return element?.closest("input, textarea, select, [contenteditable], dialog") != null;
}

/** Whether an event is that key alone, outside of fields. */
export const isPlainKey = (event: KeyboardEvent, key: string): boolean =>
  event.key === key && !event.metaKey && !event.ctrlKey && !event.altKey && !isTyping(event.target);

export function useKeys(keys: Keys): void {
  const current = useRef(keys);
  current.current = keys;
  // What is on the screen has its keys: other effects may come a moment after the paint.
  useLayoutEffect(() => {
    let first = "";
    let firstAt = 0;
    const onKey = (event: KeyboardEvent) => {
      const isCommand = event.metaKey || event.ctrlKey;
      if (event.altKey || event.defaultPrevented || (isTyping(event.target) && !isCommand)) return;
      const key = isCommand ? `Mod+${event.key.toLowerCase()}` : event.key;
      const pair = event.timeStamp - firstAt < PAIR_MS ? `${first} ${key}` : "";
      if (event.repeat && !REPEAT.has(key)) return;
      const action = current.current[pair] ?? current.current[key];
      [first, firstAt] = [key, event.timeStamp];
      if (action) {
        event.preventDefault();
        action(event);
      }
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
}
