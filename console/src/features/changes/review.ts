/** A person's review of a run's changes: what was viewed, and comments for the agent. Pure. */
import type { FileChange, Review, UserBasic } from "../../api/types";
import { closed } from "../../text/blocks";
import { type DiffLine, parseHunks } from "../../text/patch";
import { countOf } from "../../ui/counts";
import { hashOf, isChangedAt, keptCode, type Place, placeOf, placeText, quoteOf } from "./range";

export type Comment = Review["comments"][number];

/** Whether a comment still says what it said when it was sent. */
export const isSame = (one: Comment, sent: Comment) => one.id === sent.id && one.text === sent.text;

export interface ShownComment extends Comment {
  /** How far it has been sent, in words; empty: it can be changed, and sent. */
  sent: string;
  /** Who has sent it on the work of which run, if it is of another review. */
  from?: { run: string; by: UserBasic; isOwn: boolean };
  /** Whether it was made on an earlier run. */
  isEarlier?: boolean;
  /** Whether this run did not begin with it. */
  isOlder?: boolean;
  /** Whether this run, which began with it, has changed something there; absent: it did not, or it is not known. */
  isChanged?: boolean | undefined;
}

/**
 * Changes with the content, so that a file which the agent touches again counts as not viewed. Where git names the
 * content, it is the same whatever that is compared with: marks go along to other runs, and to the whole branch.
 */
export function fingerprint({ patch, status, old_size, new_size }: FileChange): string {
  const [, content, mode] = /^index \w+\.\.(\w{40,})( \d+)?$/m.exec(headOf(patch)) ?? [];
  const newMode = /^new (?:file )?mode(?= )( \d+)$/m.exec(headOf(patch))?.[1];
  if (content && status !== "D") return content + (newMode ?? mode ?? "");
  return hashOf(patch ?? `${status}${old_size}${new_size}`);
}

/** What git says of a file before its lines. */
export const headOf = (patch = ""): string => patch.split("\n@@", 1)[0] ?? "";

/** Whether a file was viewed, or viewed before it changed again. */
export type View = "viewed" | "changed" | "new";

/** `viewed`: by path, the state of a file when it was viewed. */
export function viewOf(viewed: ReadonlyMap<string, string>, file: FileChange): View {
  const mark = viewed.get(file.path);
  if (mark === undefined) return "new";
  return mark === fingerprint(file) ? "viewed" : "changed";
}

/** The name that the file of a comment has now; `own` are the files that the run has changed itself. */
export function pathNow(comment: Pick<ShownComment, "path" | "isEarlier">, files: FileChange[], own = files) {
  const { path, isEarlier } = comment;
  const isHere = !isEarlier && files.some((one) => one.path === path);
  return (!isHere && own.find(({ old_path }) => old_path === path)?.path) || path;
}

/** Where a comment was made, in words. */
export const placeThen = (comment: ShownComment): string =>
  `${placeText(comment)}${comment.isEarlier ? ` of ${comment.isOlder ? "an earlier run" : "the run before"}` : ""}`;

/** Whether a run has changed something at a comment with which it began: `own` are the files that it has changed itself. */
export function isChangedBy(own: FileChange[], comment: Place & { path: string }): boolean {
  const path = pathNow({ ...comment, isEarlier: true }, own);
  const file = own.find((one) => one.path === path);
  return file?.status === "D" || isChangedAt(parseHunks(file?.patch ?? ""), comment);
}

/** What a run has done at the comments with which it began. */
export function tallyOf(asked: readonly Pick<ShownComment, "isChanged">[]): string {
  const changed = asked.filter(({ isChanged }) => isChanged).length;
  const all = countOf(asked.length, "comment");
  if (changed === 0) return `Nothing changed at the lines of ${all}.`;
  return `The lines of ${changed < asked.length ? `${changed} of ` : ""}${all} changed.`;
}

/** One message for the agent: a remark on the whole, and each comment with its file and the lines that it is about. */
export function reviewMessage(
  comments: readonly (readonly [comment: Comment, lines: readonly DiffLine[]])[],
  remark = "",
): string {
  const parts = comments.map(([{ path, text, ...place }, lines]) => {
    const isHere = lines.length > 0;
    const { code, hasSigns } = isHere ? quoteOf(lines) : { code: keptCode(place), hasSigns: false };
    // A fence longer than any in the code, so that code cannot end it.
    const fence = "`".repeat(Math.max(3, ...[...code.matchAll(/`+/g)].map(([run]) => run.length + 1)));
    const quote = isHere || code ? `${fence}${hasSigns ? "diff" : ""}\n${code}\n${fence}\n` : "";
    const was = place.start_line === place.line ? "this was" : "these were";
    const where = isHere
      ? `, ${placeText(placeOf(lines))}`
      : `: ${was} ${placeText(place)} when the comment was made`;
    return `${path}${where}\n${quote}${closed(text)}`;
  });
  return [closed(remark.trim()), "Comments on your changes:", ...parts].filter(Boolean).join("\n\n");
}

export const folderOf = (path: string): string => path.slice(0, path.lastIndexOf("/") + 1);

// Names that end with numbers are in the order of these.
const { compare } = new Intl.Collator("en", { numeric: true });

/** Return files in the order of their folders and names; those without a folder are last. */
export function inOrder<File extends { path: string }>(files: readonly File[]): File[] {
  const folder = ({ path }: File) => folderOf(path) || "\uffff";
  return files.toSorted((one, other) => compare(folder(one), folder(other)) || compare(one.path, other.path));
}
