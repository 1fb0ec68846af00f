/** A person's review of a run's changes: what was viewed, and comments on lines. Kept in this browser. Pure parts first. */
import { useCallback, useState } from "react";
import type { FileChange } from "../../api/types";
import type { DiffLine } from "../../text/patch";

export interface Comment {
  id: string;
  path: string;
  /** Where the line stands, and what it says. */
  number: number;
  side: "old" | "new";
  code: string;
  text: string;
}

export interface Review {
  /** The state of a file when it was viewed, by its path. */
  viewed: Record<string, string>;
  comments: Comment[];
}

/** Changes with the content, so that a file which the agent touches again counts as not viewed. */
export function fingerprint(file: FileChange): string {
  let hash = 0;
  for (const letter of file.patch ?? `${file.status}${file.additions}${file.deletions}`) {
    hash = (Math.imul(hash, 31) + (letter.codePointAt(0) ?? 0)) | 0;
  }
  return hash.toString(36);
}

/** One message for the agent: each comment with its file, line and code. */
export function reviewMessage(comments: Comment[]): string {
  const parts = comments.map(({ path, number, side, code, text }) => {
    const place = side === "old" ? `${path}, removed line ${number}` : `${path}:${number}`;
    // A fence longer than any in the code, so that code cannot end it.
    const fence = "`".repeat(Math.max(3, ...[...code.matchAll(/`+/g)].map(([run]) => run.length + 1)));
    return `${place}\n${fence}\n${code}\n${fence}\n${text}`;
  });
  return `Comments on your changes:\n\n${parts.join("\n\n")}`;
}

export function placeOf(line: DiffLine): Pick<Comment, "number" | "side" | "code"> {
  return line.newNumber === null
    ? { number: line.oldNumber ?? 0, side: "old", code: line.text }
    : { number: line.newNumber, side: "new", code: line.text };
}

const EMPTY: Review = { viewed: {}, comments: [] };
const keyOf = (run: string) => `taskbeacon.review.${run}`;

function read(run: string): Review {
  try {
    return { ...EMPTY, ...JSON.parse(localStorage.getItem(keyOf(run)) ?? "{}") };
  } catch {
    return EMPTY;
  }
}

export function useReview(run: string) {
  const [review, setReview] = useState(() => read(run));
  const change = useCallback(
    (next: (before: Review) => Review) =>
      setReview((before) => {
        const after = next(before);
        localStorage.setItem(keyOf(run), JSON.stringify(after));
        return after;
      }),
    [run],
  );
  const toggleViewed = useCallback(
    (file: FileChange) =>
      change((before) => {
        const { [file.path]: mark, ...others } = before.viewed;
        const now = fingerprint(file);
        return { ...before, viewed: mark === now ? others : { ...others, [file.path]: now } };
      }),
    [change],
  );
  const add = useCallback(
    (comment: Omit<Comment, "id">) =>
      change((before) => ({
        ...before,
        comments: [...before.comments, { ...comment, id: crypto.randomUUID() }],
      })),
    [change],
  );
  const remove = useCallback(
    (id: string) =>
      change((before) => ({ ...before, comments: before.comments.filter((one) => one.id !== id) })),
    [change],
  );
  const clear = useCallback(() => change((before) => ({ ...before, comments: [] })), [change]);
  return { review, toggleViewed, add, remove, clear };
}
