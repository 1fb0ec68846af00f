/** A person's review of a run's changes: what was viewed, and comments on lines. Kept in this browser. Pure parts first. */
import { useCallback } from "react";
import type { FileChange } from "../../api/types";
import { useKept } from "../../ui/kept";
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

const NOTHING_VIEWED: Viewed = {};
const NO_COMMENTS: { list: Comment[] } = { list: [] };

/** Marks are the task's, so that a run that continues shows what it has changed again; comments are the run's. */
export function useReview(task: string, run: string) {
  const [viewed, keepViewed] = useKept(localStorage, `taskbeacon.viewed.${task}`, NOTHING_VIEWED);
  const [comments, keepComments] = useKept(localStorage, `taskbeacon.review.${run}`, NO_COMMENTS);
  const toggleViewed = useCallback(
    (file: FileChange) =>
      keepViewed((before) => {
        const { [file.path]: mark, ...others } = before;
        const now = fingerprint(file);
        return mark === now ? others : { ...others, [file.path]: now };
      }),
    [keepViewed],
  );
  const add = useCallback(
    (comment: Omit<Comment, "id">) =>
      keepComments(({ list }) => ({ list: [...list, { ...comment, id: crypto.randomUUID() }] })),
    [keepComments],
  );
  const remove = useCallback(
    (id: string) => keepComments(({ list }) => ({ list: list.filter((one) => one.id !== id) })),
    [keepComments],
  );
  return { viewed, comments: comments.list, toggleViewed, add, remove, clear: () => keepComments(null) };
}
