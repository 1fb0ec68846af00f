import { useState } from "react";
import { filesAt, hold } from "../attachments/held";

const keyOf = (run: string) => `taskbeacon.draft.${run}`;

/** Under what the files to a run are held that are not sent yet. */
export const filesPlaceOf = (run: string) => `taskbeacon.files.${run}`;

export const hasDraft = (run: string): boolean =>
  sessionStorage.getItem(keyOf(run)) !== null || filesAt(sessionStorage, filesPlaceOf(run)).length > 0;

/** Take the text and the files that are not sent yet along to another run. */
export function moveDraft(from: string, to: string): void {
  hold(sessionStorage, filesPlaceOf(to), filesAt(sessionStorage, filesPlaceOf(from)));
  hold(sessionStorage, filesPlaceOf(from), []);
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
