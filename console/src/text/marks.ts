/** Marks of highlighted code: how long each piece of a line is, and what it is. Pure. */
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

/** Of one line: a length and the place of its mark in `MARKS`, in turn. */
export type LineMarks = readonly number[];

export interface Piece {
  text: string;
  mark: Mark;
}

/** Return the line in pieces; what the marks do not cover is plain. */
export function piecesOf(text: string, marks: LineMarks | undefined): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  for (let index = 0; marks && index + 1 < marks.length && from < text.length; index += 2) {
    const to = from + (marks[index] ?? 0);
    if (to > from) pieces.push({ text: text.slice(from, to), mark: MARKS[marks[index + 1] ?? 0] ?? "plain" });
    from = Math.max(from, to);
  }
  if (from < text.length) pieces.push({ text: text.slice(from), mark: "plain" });
  return pieces;
}

/** The two states of what a hunk shows: code is read as it was, and as it is. */
export interface Sides {
  old: DiffLine[];
  new: DiffLine[];
}

export function sidesOf(hunk: Hunk): Sides {
  return {
    old: hunk.lines.filter(({ kind }) => kind !== "add"),
    new: hunk.lines.filter(({ kind }) => kind !== "delete"),
  };
}

export const codeOf = (lines: readonly DiffLine[]): string => lines.map(({ text }) => text).join("\n");
