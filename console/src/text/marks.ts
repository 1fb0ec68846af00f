/** Marks of code: how long each piece of a line is, what it is, and whether it has changed. Pure. */
import { diffWordsWithSpace } from "diff";
import type { DiffLine, Hunk } from "./patch";

export const MARKS = [
  "plain",
  "comment",
  "string",
  "number",
  "keyword",
  "function",
  "type",
  "tag",
  "attribute",
] as const;

export type Mark = (typeof MARKS)[number];

/** Of one line: a length and the place of its mark in `MARKS`, in turn. Of words: a length, and 1 if it has changed. */
export type LineMarks = readonly number[];

export interface Piece {
  text: string;
  mark: Mark;
  isChanged: boolean;
}

/** Return the line in pieces; what marks do not cover is plain, what words do not cover has not changed. */
export function piecesOf(text: string, marks: LineMarks = [], words: LineMarks = []): Piece[] {
  const pieces: Piece[] = [];
  const [mark, word] = [reader(marks), reader(words)];
  for (let from = 0; from < text.length; ) {
    const to = Math.min(mark.endAfter(from), word.endAfter(from), text.length);
    pieces.push({
      text: text.slice(from, to),
      mark: MARKS[mark.value()] ?? "plain",
      isChanged: word.value() === 1,
    });
    from = to;
  }
  return pieces;
}

/** Reads marks from left to right: the end of the one behind a place, and then its value. */
function reader(marks: LineMarks) {
  let [index, end] = [-2, 0];
  return {
    endAfter(place: number): number {
      while (end <= place && index < marks.length) {
        index += 2;
        end = index < marks.length ? end + Math.max(0, marks[index] ?? 0) : Number.POSITIVE_INFINITY;
      }
      return end;
    },
    value: (): number => marks[index + 1] ?? 0,
  };
}

// Longer lines are data. Lines that have less in common are other lines, not other versions of one.
const LONGEST = 500;
const COMMON = 0.3;

/** Add a piece of a line to its marks. */
export function addMark(marks: number[], length: number, mark: number): void {
  if (marks.at(-1) === mark) marks[marks.length - 2] = (marks[marks.length - 2] ?? 0) + length;
  else marks.push(length, mark);
}

const lengthOf = (text: string): number => text.trim().length;
const countWords = (text: string): number => text.match(/[\p{L}\p{N}_]+/gu)?.length ?? 0;

/** Return which words of two versions of a line differ; null if they have too little in common. */
export function wordsOf(before: string, after: string): { before: LineMarks; after: LineMarks } | null {
  if (Math.max(before.length, after.length) > LONGEST) return null;
  const parts = diffWordsWithSpace(before, after);
  const same = parts.filter(({ added, removed }) => !added && !removed);
  const share = (sizeOf: (text: string) => number) =>
    same.reduce((sum, { value }) => sum + sizeOf(value), 0) / Math.max(sizeOf(before), sizeOf(after));
  // By words too: in a short line the name that another one replaces is most of its letters.
  if (!(share(lengthOf) >= COMMON || share(countWords) >= COMMON)) return null;
  const side = (isOther: "added" | "removed") => {
    const own = parts.filter((part) => !part[isOther]);
    const isChanged = own.map(({ added, removed }) => added || removed);
    const marks: number[] = [];
    for (const [at, { value }] of own.entries()) {
      // Words that have changed are one piece with the space between them.
      const joins = value.trim() === "" && isChanged[at - 1] && isChanged[at + 1];
      addMark(marks, value.length, isChanged[at] || joins ? 1 : 0);
    }
    return marks;
  };
  return { before: side("added"), after: side("removed") };
}

/** The two states of what a hunk shows: code is read as it was, and as it is. */
export const sidesOf = ({ lines }: Hunk): [old: DiffLine[], now: DiffLine[]] => [
  lines.filter(({ kind }) => kind !== "add"),
  lines.filter(({ kind }) => kind !== "delete"),
];

export const codeOf = (lines: readonly DiffLine[]): string => lines.map(({ text }) => text).join("\n");

const LONGEST_SHOWN = 5000;
const HIDDEN =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** Return a text whose characters all show: those that hide or turn text are written as their numbers. */
export const visible = (text: string): string =>
  text.replace(HIDDEN, (one) => `⟨${(one.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}⟩`);

/** Return a line as far as it can be read, and how much of it is left out. */
export function readable(text: string): { text: string; rest: number } {
  return { text: text.slice(0, LONGEST_SHOWN), rest: Math.max(0, text.length - LONGEST_SHOWN) };
}
