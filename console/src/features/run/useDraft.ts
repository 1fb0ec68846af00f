import { useState } from "react";
import { filesAt, hold, uploaded } from "../attachments/held";
import { filesPlaceOf, textPlaceOf } from "../project/drafts";
import type { Written } from "./Composer";

/** By run that was started in this tab: the run on whose page that was, until the page of the new one is shown. */
const startedFrom = new Map<string, string | null>();

export const rememberStart = (run: string, from: string | null) => startedFrom.set(run, from);

export const isStartedHere = (run: string): boolean => startedFrom.has(run);

/** Take along what was not sent where the run was started, when its page is shown: until then, a person may be typing. */
function takeAlong(to: string): void {
  const from = startedFrom.get(to);
  if (!from) return;
  startedFrom.set(to, null);
  hold(sessionStorage, filesPlaceOf(to), filesAt(sessionStorage, filesPlaceOf(from)));
  hold(sessionStorage, filesPlaceOf(from), []);
  const text = sessionStorage.getItem(textPlaceOf(from));
  if (text === null) return;
  sessionStorage.setItem(textPlaceOf(to), text);
  sessionStorage.removeItem(textPlaceOf(from));
}

/** The text to a run that is not sent yet; it survives a reload of the tab. */
export function useDraft(run: string) {
  const key = textPlaceOf(run);
  const [text, setText] = useState(() => {
    takeAlong(run);
    return sessionStorage.getItem(key) ?? "";
  });
  const write = (value: string) => {
    setText(value);
    if (value) sessionStorage.setItem(key, value);
    else sessionStorage.removeItem(key);
  };
  /** Take back a message whose files are at `base`, in front of what was written since. */
  const putBack = (message: Written, base: string) => {
    write([message.text, sessionStorage.getItem(key)].filter(Boolean).join("\n\n"));
    const place = filesPlaceOf(run);
    const files = message.files.map((name, at) => uploaded(name, base, message.artifactIds[at] ?? null));
    hold(sessionStorage, place, [...files, ...filesAt(sessionStorage, place)]);
  };
  return { text, write, putBack };
}
