import { useState } from "react";

const keyOf = (run: string) => `taskbeacon.draft.${run}`;

export const hasDraft = (run: string): boolean => sessionStorage.getItem(keyOf(run)) !== null;

/** Take the text that is not sent yet along to another run. */
export function moveDraft(from: string, to: string): void {
  const text = sessionStorage.getItem(keyOf(from));
  if (text === null) return;
  sessionStorage.setItem(keyOf(to), text);
  sessionStorage.removeItem(keyOf(from));
}

/** The text to a run that is not sent yet; it survives a reload of the tab. */
export function useDraft(run: string): [text: string, write: (text: string) => void] {
  const key = keyOf(run);
  const [text, setText] = useState(() => sessionStorage.getItem(key) ?? "");
  const write = (value: string) => {
    setText(value);
    if (value) sessionStorage.setItem(key, value);
    else sessionStorage.removeItem(key);
  };
  return [text, write];
}
