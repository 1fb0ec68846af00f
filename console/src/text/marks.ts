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

/** Return which words of two versions of a line differ. */
export function wordsOf(before: string, after: string): { before: LineMarks; after: LineMarks } {
  const parts = diffWordsWithSpace(before, after);
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

const wordsIn = ({ text }: DiffLine) =>
  new Set(text.length > LONGEST ? [] : text.match(/[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu));

// More pairs take too long to compare: such lines are compared in their order.
const MOST_PAIRS = 2500;

type Pair = readonly [removed: DiffLine, added: DiffLine];

/** Pair the two lines that have most in common, and then those before and behind them. */
function pairUp(removed: DiffLine[], added: DiffLine[]): Pair[] {
  if (removed.length * added.length > MOST_PAIRS)
    return removed.flatMap((line, at) => pairUp([line], added.slice(at, at + 1)));
  const others = added.map(wordsIn);
  let [most, from, to] = [0, 0, 0];
  for (const [at, line] of removed.entries()) {
    const words = [...wordsIn(line)];
    for (const [place, its] of others.entries()) {
      const alike = words.filter((word) => its.has(word)).length / Math.max(words.length, its.size, 1);
      if (alike > most) [most, from, to] = [alike, at, place];
    }
  }
  const [line, other] = [removed[from], added[to]];
  if (most < COMMON || !line || !other) return [];
  const before = pairUp(removed.slice(0, from), added.slice(0, to));
  return [...before, [line, other], ...pairUp(removed.slice(from + 1), added.slice(to + 1))];
}

/** Return which added line each removed one of a hunk has become. */
export function pairsOf({ lines }: Hunk): Pair[] {
  const [removed, added]: [DiffLine[], DiffLine[]] = [[], []];
  return [...lines, null].flatMap((line) => {
    if (line?.kind === "delete") removed.push(line);
    else if (line?.kind === "add") added.push(line);
    else return pairUp(removed.splice(0), added.splice(0));
    return [];
  });
}

/** The two states of what a hunk shows: code is read as it was, and as it is. */
export const sidesOf = ({ lines }: Hunk): [old: DiffLine[], now: DiffLine[]] => [
  lines.filter(({ kind }) => kind !== "add"),
  lines.filter(({ kind }) => kind !== "delete"),
];

export const codeOf = (lines: readonly DiffLine[]): string => lines.map(({ text }) => text).join("\n");

/** Of longer lines, the rest is shown when it is asked for. */
export const LONGEST_SHOWN = 1000;
const HIDDEN =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** Return a text whose characters all show: those that hide or turn text are written as their numbers. */
export const visible = (text: string): string =>
  text.replace(HIDDEN, (one) => `⟨${(one.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}⟩`);

/** Return a text in pieces with the beginnings of its long lines; the same if there are none. */
export function folded<Part extends { text: string }>(parts: readonly Part[]): readonly Part[] {
  let column = 0;
  const fold = (piece: string) => {
    const left = LONGEST_SHOWN - column;
    column = piece === "\n" ? 0 : column + piece.length;
    if (column <= LONGEST_SHOWN) return piece;
    return left < 0 ? "" : `${piece.slice(0, left)} …`;
  };
  const cut = parts.map((part) => ({ ...part, text: part.text.replace(/[^\n]+|\n/g, fold) }));
  return cut.every(({ text }, at) => text === parts[at]?.text) ? parts : cut;
}
