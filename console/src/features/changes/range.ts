/** Ranges of lines in a diff, and what a comment on one quotes. Pure. */
import type { DiffLine, Hunk } from "../../text/patch";

/** Lines of one hunk, by their places in the patch; both ends are in it. */
export interface Range {
  /** Where it was begun: it grows from here in both directions. */
  start: number;
  end: number;
}

/** What a comment is about: lines of the file as it is or, where all of them are removed ones, as it was. */
export interface Place {
  side: "old" | "new";
  from: number;
  to: number;
  /** The lines; with signs where some of them were changed and others not. */
  code: string;
  hasSigns: boolean;
}

const SIGNS = { add: "+", delete: "-", context: " " } as const;

const hunkOf = (hunks: readonly Hunk[], at: number) =>
  hunks.find(({ lines }) => lines.some((line) => line.at === at));

/** Return the lines of a range; none if the patch does not have it any more. */
export function linesOf(hunks: readonly Hunk[], range: Range): DiffLine[] {
  const [first, last] = [Math.min(range.start, range.end), Math.max(range.start, range.end)];
  return hunkOf(hunks, range.start)?.lines.filter(({ at }) => at >= first && at <= last) ?? [];
}

/** Return the range up to another line, as far as its hunk goes. */
export function extendTo(hunks: readonly Hunk[], range: Range, at: number): Range {
  const lines = hunkOf(hunks, range.start)?.lines ?? [];
  const first = lines[0]?.at ?? range.start;
  const last = lines.at(-1)?.at ?? range.start;
  return { start: range.start, end: Math.min(Math.max(at, first), last) };
}

/** Return the range with one line more above or below. */
export function extendBy(hunks: readonly Hunk[], range: Range, by: 1 | -1): Range {
  const [first, last] = [Math.min(range.start, range.end), Math.max(range.start, range.end)];
  return by === 1
    ? extendTo(hunks, { start: first, end: last }, last + 1)
    : extendTo(hunks, { start: last, end: first }, first - 1);
}

export function placeOf(lines: readonly DiffLine[]): Place {
  const kept = lines.filter(({ newNumber }) => newNumber !== null);
  const side = kept.length ? "new" : "old";
  const numbers = kept.length
    ? kept.map(({ newNumber }) => newNumber)
    : lines.map(({ oldNumber }) => oldNumber);
  const hasSigns = new Set(lines.map(({ kind }) => kind)).size > 1;
  return {
    side,
    from: numbers[0] ?? 0,
    to: numbers.at(-1) ?? 0,
    code: lines.map(({ kind, text }) => (hasSigns ? SIGNS[kind] : "") + text).join("\n"),
    hasSigns,
  };
}

export function placeText({ side, from, to }: Pick<Place, "side" | "from" | "to">): string {
  const lines = from === to ? `line ${from}` : `lines ${from} to ${to}`;
  return side === "old" ? `removed ${lines}` : lines;
}

/** Return the last line of a place, below which its comment stands; null if the lines are others now. */
export function anchorOf(hunks: readonly Hunk[], place: Place): DiffLine | null {
  for (const { lines } of hunks) {
    const last = lines.findLastIndex((line) =>
      place.side === "old"
        ? line.kind === "delete" && line.oldNumber === place.to
        : line.newNumber === place.to,
    );
    if (last < 0) continue;
    const count = place.code.split("\n").length;
    // A range may end in removed lines, which have no number of their own.
    for (let end = last; end < lines.length && (end === last || lines[end]?.kind === "delete"); end += 1) {
      const found = placeOf(lines.slice(Math.max(0, end - count + 1), end + 1));
      if (found.code === place.code && found.from === place.from) return lines[end] ?? null;
    }
  }
  return null;
}
