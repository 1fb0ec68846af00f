/** Ranges of lines in a diff, and where a comment on one stands. Pure. */
import type { FileChange } from "../../api/types";
import { withoutSpaces } from "../../text/lineDiff";
import { codeOf } from "../../text/marks";
import { type DiffLine, type Hunk, parseHunks } from "../../text/patch";

/** Lines of one hunk, by their places in the file; both ends are in it. */
export interface Range {
  /** Where it was begun: it grows from here in both directions. */
  start: number;
  end: number;
}

/** What a comment is about: lines of the file as it is or, where all of them are removed ones, as it was. */
export interface Place {
  side: "old" | "new";
  start_line: number;
  line: number;
  /** Changes with the lines, whose beginning stands behind a space. */
  hash: string | null;
}

/** The service keeps 128 characters of a hash. */
const KEPT = 100;

const SIGNS = { add: "+", delete: "-", context: " " } as const;

const hunkOf = (hunks: readonly Hunk[], at: number) =>
  hunks.find(({ lines }) => lines.some((line) => line.at === at));

/** Return the lines of a range; none if the patch does not have it any more. */
export function linesOf(hunks: readonly Hunk[], { start, end }: Range): DiffLine[] {
  const [first, last] = [Math.min(start, end), Math.max(start, end)];
  return hunkOf(hunks, start)?.lines.filter(({ at }) => at >= first && at <= last) ?? [];
}

/** Return the hunks of a file: all, or those in which more than white space has changed. */
export function hunksOf({ patch }: Pick<FileChange, "patch">, hidesSpaces: boolean): Hunk[] {
  const hunks = parseHunks(patch ?? "");
  return hidesSpaces ? withoutSpaces(hunks) : hunks;
}

/** Return which lines have a text, which is in lower case: the place of each, and behind a blank the path of its file. */
export const findLines = (files: readonly FileChange[], hidesSpaces: boolean, text: string): string[] =>
  files.flatMap((file) =>
    hunksOf(file, hidesSpaces)
      .flatMap(({ lines }) => lines.filter((line) => line.text.toLowerCase().includes(text)))
      .map(({ at }) => `${at} ${file.path}`),
  );

/** Return the range from where it was begun to another line; a new one in another hunk. */
export const reaching = (hunks: readonly Hunk[], range: Range | null, at: number): Range =>
  range && hunkOf(hunks, range.start) === hunkOf(hunks, at) ? { ...range, end: at } : { start: at, end: at };

/** The code of lines; with signs where some of them were changed and others not. */
export function quoteOf(lines: readonly DiffLine[]): { code: string; hasSigns: boolean } {
  const hasSigns = new Set(lines.map(({ kind }) => kind)).size > 1;
  const signed = lines.map(({ kind, text }) => SIGNS[kind] + text).join("\n");
  return { code: hasSigns ? signed : codeOf(lines), hasSigns };
}

/** A short word that changes with a text. */
export function hashOf(text: string): string {
  let hash = 0;
  for (const letter of text) hash = (Math.imul(hash, 31) + (letter.codePointAt(0) ?? 0)) | 0;
  return hash.toString(36);
}

/** A range may begin and end with removed lines, which have no number of their own: the hash says how many. */
export function placeOf(lines: readonly DiffLine[]): Place {
  const side = lines.some(({ newNumber }) => newNumber !== null) ? "new" : "old";
  const numbers = lines.map((line) => line[`${side}Number`]);
  const first = numbers.findIndex((number) => number !== null);
  const last = numbers.findLastIndex((number) => number !== null);
  const { code } = quoteOf(lines);
  return {
    side,
    start_line: numbers[first] ?? 1,
    line: numbers[last] ?? 1,
    hash: `${first}.${lines.length - 1 - last}.${hashOf(code)} ${[...code].slice(0, KEPT).join("")}${[...code].length > KEPT ? "…" : ""}`,
  };
}

/** The beginning of the code that a comment was made on; empty: it was not kept. */
export const keptCode = ({ hash }: Pick<Place, "hash">): string => / (.*)/s.exec(hash ?? "")?.[1] ?? "";

export function placeText({ side, start_line: from, line }: Omit<Place, "hash">): string {
  const lines = from === line ? `line ${line}` : `lines ${from} to ${line}`;
  return side === "old" ? `removed ${lines}` : lines;
}

/** Return the lines of a place, below which its comment stands; none if they are others now. */
export function anchorOf(hunks: readonly Hunk[], place: Place): DiffLine[] {
  const [before = 0, after = 0] = (place.hash ?? "").split(".").map(Number);
  const numberOf = ({ kind, oldNumber, newNumber }: DiffLine) =>
    place.side === "new" ? newNumber : kind === "delete" ? oldNumber : null;
  for (const { lines } of hunks) {
    const first = lines.findIndex((line) => numberOf(line) === place.start_line);
    const last = lines.findIndex((line) => numberOf(line) === place.line);
    const found = first < before || last < 0 ? [] : lines.slice(first - before, last + after + 1);
    // The service trims its end; an older one has no code.
    if (found.length > 0 && placeOf(found).hash?.startsWith(place.hash ?? "-")) return found;
  }
  return [];
}

/** Whether a run has changed lines that stood here when it began, or the one before or behind them. */
export const isChangedAt = (hunks: readonly Hunk[], { side, start_line: from, line }: Place): boolean =>
  hunks.some(({ lines }) =>
    lines.some(({ kind, at, oldNumber, newNumber }) => {
      const before = oldNumber ?? at - (newNumber ?? 0);
      const first = kind === "delete" ? from - 1 : from;
      return side === "new" && kind !== "context" && before >= first && before <= line + 1;
    }),
  );

/**
 * Return where the lines `asked` stand in a later diff that a comment on the run before is about: with one before them,
 * and with what has come in their place. None if they are not shown. `side`: which state of the file has them: the old
 * one, at the same numbers, or the new one, wherever they are now.
 */
export function laterOf(
  hunks: readonly Hunk[],
  { start_line }: Place,
  asked: readonly DiffLine[],
  side: "old" | "new",
): DiffLine[] {
  const texts = asked.flatMap(({ kind, text }) => (kind === "delete" ? [] : text));
  let nearest = side === "old" ? 1 : Number.POSITIVE_INFINITY;
  let found: DiffLine[] = [];
  for (const { lines } of texts.length > 0 ? hunks : []) {
    const known = lines.filter((line) => line[`${side}Number`] !== null);
    for (const [index, first] of known.entries()) {
      const distance = Math.abs((first[`${side}Number`] ?? 0) - start_line);
      if (distance >= nearest || !texts.every((text, at) => known[index + at]?.text === text)) continue;
      nearest = distance;
      let end = lines.indexOf(known[index + texts.length - 1] ?? first) + 1;
      while (lines[end] && lines[end]?.kind !== "context") end += 1;
      found = lines.slice(Math.max(0, lines.indexOf(first) - 1), end);
    }
  }
  return found;
}
