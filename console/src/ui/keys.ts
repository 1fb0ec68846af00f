/** Keys of the keyboard: single ones, and pairs such as `g t`. Off while a person types. */
import { useLayoutEffect, useRef } from "react";
import { isIn } from "./unmeant";

type Act = (event?: KeyboardEvent) => void;
/** What a key does; with a title it is a command, which the palette and the list of keys show. */
export type Keys = Record<string, Act | readonly [title: string, act: Act]>;

export interface Command {
  key: string;
  title: string;
  act: () => void;
}

const PAIR_MS = 1000;
/** The keys that may be held down: they only move. */
const REPEAT = new Set(["j", "k", "J", "K"]);
const PALETTE = "Mod+k";
/** What works in fields, too. */
const ALWAYS = new Set([PALETTE, "Mod+f"]);

const shown = new Set<{ current: Keys }>();

/** Return the commands of what is on the screen now. */
export const commandsNow = (): Command[] =>
  [...shown].flatMap(({ current }) =>
    Object.entries(current).flatMap(([key, value]) =>
      typeof value === "function" ? [] : [{ key, title: value[0], act: value[1] }],
    ),
  );

/** The key as people read it. */
export const keyText = ({ key }: Command): string => key.replace("Mod+", "⌘ or Ctrl ");

/** Whether the palette has no use for a command: it only moves, or shows the palette. */
export const isKeyOnly = ({ key }: Command): boolean => REPEAT.has(key) || key === PALETTE;

/** Show the palette, where there is no keyboard. */
export const showPalette = (): void =>
  commandsNow()
    .find(({ key }) => key === PALETTE)
    ?.act();

const isTyping = (target: EventTarget | null) =>
  isIn(target, "input:not([type=checkbox]), textarea, select, [contenteditable], dialog");

/** Whether an event is that key alone, outside of fields. */
export const isPlainKey = (event: KeyboardEvent, key: string): boolean =>
  event.key === key && !event.metaKey && !event.ctrlKey && !event.altKey && !isTyping(event.target);

/** `areFirst`: they go before the same keys of the rest of the page. */
export function useKeys(keys: Keys, areFirst = false): void {
  const current = useRef(keys);
  current.current = keys;
  // What is on the screen has its keys: other effects may come a moment after the paint.
  useLayoutEffect(() => {
    let first = "";
    let firstAt = 0;
    const onKey = (event: KeyboardEvent) => {
      const key = event.metaKey || event.ctrlKey ? `Mod+${event.key.toLowerCase()}` : event.key;
      if (event.altKey || event.defaultPrevented || (isTyping(event.target) && !ALWAYS.has(key))) return;
      const pair = event.timeStamp - firstAt < PAIR_MS ? `${first} ${key}` : "";
      if (event.repeat && !REPEAT.has(key)) return;
      // Who presses a pair means no key of it, as `1` that answers a question.
      const isPair = [...shown].some(({ current }) => pair in current);
      const action = current.current[isPair ? pair : key];
      [first, firstAt] = [key, event.timeStamp];
      if (action) {
        event.preventDefault();
        (typeof action === "function" ? action : action[1])(event);
      }
    };
    document.addEventListener("keydown", onKey, areFirst);
    shown.add(current);
    return () => {
      document.removeEventListener("keydown", onKey, areFirst);
      shown.delete(current);
    };
  }, [areFirst]);
}
