/** A person's review of a run's changes: what was viewed, and comments on lines. Kept in this browser. Pure parts first. */
import { useCallback, useState } from "react";
import type { FileChange } from "../../api/types";
import { type Place, placeText } from "./range";

export interface Comment extends Place {
  id: string;
  path: string;
  /** Whether the numbers of its lines are those of the file: an agent that works reports parts of files. */
  hasNumbers: boolean;
  text: string;
}

/** The state of a file when it was viewed, by its path. */
type Viewed = Record<string, string>;

/** Changes with the content, so that a file which the agent touches again counts as not viewed. */
export function fingerprint(file: FileChange): string {
  let hash = 0;
  for (const letter of file.patch ?? `${file.status}${file.old_size}${file.new_size}`) {
    hash = (Math.imul(hash, 31) + (letter.codePointAt(0) ?? 0)) | 0;
  }
  return hash.toString(36);
}

/** Whether a file was viewed, or viewed before it changed again. */
export function viewOf(viewed: Viewed, file: FileChange): "viewed" | "changed" | "new" {
  const mark = viewed[file.path];
  if (mark === undefined) return "new";
  return mark === fingerprint(file) ? "viewed" : "changed";
}

/** One message for the agent: each comment with its file, lines and code. */
export function reviewMessage(comments: Comment[]): string {
  const parts = comments.map(({ path, code, hasSigns, hasNumbers, text, ...place }) => {
    const where = hasNumbers ? `${path}, ${placeText(place)}` : path;
    // A fence longer than any in the code, so that code cannot end it.
    const fence = "`".repeat(Math.max(3, ...[...code.matchAll(/`+/g)].map(([run]) => run.length + 1)));
    return `${where}\n${fence}${hasSigns ? "diff" : ""}\n${code}\n${fence}\n${text}`;
  });
  return `Comments on your changes:\n\n${parts.join("\n\n")}`;
}

const viewedKey = (task: string) => `taskbeacon.viewed.${task}`;
const commentsKey = (run: string) => `taskbeacon.comments.${run}`;

function read<T>(key: string, isValid: (value: unknown) => value is T, otherwise: T): T {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(key) ?? "null");
    return isValid(value) ? value : otherwise;
  } catch {
    return otherwise;
  }
}

const isViewed = (value: unknown): value is Viewed => typeof value === "object" && value !== null;
const isComments = (value: unknown): value is Comment[] => Array.isArray(value);

/** A state that the browser keeps under a key. */
function useKept<T>(key: string, isValid: (value: unknown) => value is T, first: T) {
  const [value, setValue] = useState(() => read(key, isValid, first));
  const change = useCallback(
    (next: (before: T) => T) =>
      setValue((before) => {
        const after = next(before);
        localStorage.setItem(key, JSON.stringify(after));
        return after;
      }),
    [key],
  );
  return [value, change] as const;
}

/** Marks are the task's, so that a run that continues shows what it has changed again; comments are the run's. */
export function useReview(task: string, run: string) {
  const [viewed, changeViewed] = useKept<Viewed>(viewedKey(task), isViewed, {});
  const [comments, changeComments] = useKept<Comment[]>(commentsKey(run), isComments, []);
  const toggleViewed = useCallback(
    (file: FileChange) =>
      changeViewed((before) => {
        const { [file.path]: mark, ...others } = before;
        const now = fingerprint(file);
        return mark === now ? others : { ...others, [file.path]: now };
      }),
    [changeViewed],
  );
  const add = useCallback(
    (comment: Omit<Comment, "id">) =>
      changeComments((before) => [...before, { ...comment, id: crypto.randomUUID() }]),
    [changeComments],
  );
  const remove = useCallback(
    (id: string) => changeComments((before) => before.filter((one) => one.id !== id)),
    [changeComments],
  );
  const clear = useCallback(() => changeComments(() => []), [changeComments]);
  return { viewed, comments, toggleViewed, add, remove, clear };
}
