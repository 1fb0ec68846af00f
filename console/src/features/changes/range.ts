/** Ranges of lines in a diff, and where a comment on one stands. Pure. */
import type { FileChange } from "../../api/types";
import { withoutSpaces } from "../../text/lineDiff";
import { codeOf } from "../../text/marks";
import { countersOf, type DiffLine, type Hunk, parseHunks, splitRows } from "../../text/patch";

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
  /** Tells the lines from others, by those around them, too; their beginning stands behind a space. */
  hash: string | null;
}

type Hunks = readonly Hunk[];
type Lines = readonly DiffLine[];

/** The service keeps 128 characters of a hash. */
const KEPT = 92;
const MARK = 3;

const SIGNS = { add: "+", delete: "-", context: " " } as const;

const hunkOf = (hunks: Hunks, at: number) => hunks.find(({ lines }) => lines.some((line) => line.at === at));

/** Return the lines of a range; none if the patch does not have it any more. */
export function linesOf(hunks: Hunks, { start, end }: Range): DiffLine[] {
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
export const reaching = (hunks: Hunks, range: Range | null, at: number): Range =>
  range && hunkOf(hunks, range.start) === hunkOf(hunks, at) ? { ...range, end: at } : { start: at, end: at };

/** The code of lines; with signs where some of them were changed and others not. */
export function quoteOf(lines: Lines): { code: string; hasSigns: boolean } {
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

/** Tells a line from others; empty: it is as many are. */
const markOf = (line: DiffLine | undefined) =>
  line && /\w/.test(line.text) ? hashOf(line.text).slice(-MARK) : "";

const partsOf = ({ hash }: Pick<Place, "hash">) => {
  const [before, after, code, above, below, next] = hash?.split(" ", 1)[0]?.split(".") ?? [];
  return { before: Number(before), after: Number(after), code, around: [above, below], next: Number(next) };
};

/**
 * A range may begin and end with removed lines, which have no number of their own: the hash says how many. Of removed
 * lines alone, it says which line came behind them.
 */
export function placeOf(lines: Lines, hunks: Hunks = []): Place {
  const side = lines.some(({ newNumber }) => newNumber !== null) ? "new" : "old";
  const isKnown = (line: DiffLine) => line[`${side}Number`] !== null;
  const [first, last] = [lines.findIndex(isKnown), lines.findLastIndex(isKnown)];
  const known = lines.filter(isKnown);
  const all = hunkOf(hunks, lines[first]?.at ?? 0)?.lines.filter(isKnown) ?? known;
  const at = all.findIndex(({ at }) => at === known[0]?.at);
  const around = [all[at - 1], all[at + known.length]].map(markOf);
  const next = side === "old" && lines[0] ? [countersOf(lines[0])[1]] : [];
  const words = [first, lines.length - 1 - last, hashOf(codeOf(known)), ...around, ...next];
  const code = [...quoteOf(lines).code];
  return {
    side,
    start_line: known[0]?.[`${side}Number`] ?? 1,
    line: known.at(-1)?.[`${side}Number`] ?? 1,
    hash: `${words.join(".")} ${code.slice(0, KEPT).join("")}${code.length > KEPT ? "…" : ""}`,
  };
}

/** The beginning of the code that a comment was made on; empty: it was not kept. */
export const keptCode = ({ hash }: Pick<Place, "hash">): string => / (.*)/s.exec(hash ?? "")?.[1] ?? "";

export function placeText({ side, start_line: from, line }: Omit<Place, "hash">): string {
  const lines = from === line ? `line ${line}` : `lines ${from} to ${line}`;
  return side === "old" ? `removed ${lines}` : lines;
}

/**
 * Return the lines of a place in a state of a file that a diff shows: those between the same lines as they were, those at
 * the number `start`, or the only ones that can be meant; none if they are others now.
 */
export function anchorOf(hunks: Hunks, place: Place, side = place.side, start = place.start_line): Lines {
  const { before, after, code, around } = partsOf(place);
  const length = place.line - place.start_line + 1;
  const isRemoved = ({ kind }: DiffLine) => side === place.side && kind === "delete";
  const starts = hunks.flatMap(({ lines }) => {
    const known = lines.filter((one) => one[`${side}Number`] !== null);
    const distanceOf = (one: DiffLine) => Math.abs((one[`${side}Number`] ?? 0) - start);
    return known.map((first, at) => ({ lines, known, first, at, distance: distanceOf(first) }));
  });
  starts.sort((one, other) => one.distance - other.distance);
  const marks = around.map((mark, index) => [mark, index] as const).filter(([mark]) => mark);
  const likely: Lines[] = [];
  let exact: Lines | null = null;
  for (const { lines, known, first, at, distance } of starts) {
    // What was removed keeps its numbers.
    if (distance > 0 && side === "old" && place.side === "old") break;
    const last = known[at + length - 1];
    if (!last || hashOf(codeOf(known.slice(at, at + length))) !== code) continue;
    const [from, to] = [lines.indexOf(first), lines.indexOf(last) + 1];
    const above = lines.slice(Math.max(0, from - before), from).filter(isRemoved);
    const part = [...above, ...lines.slice(from, to), ...lines.slice(to, to + after).filter(isRemoved)];
    const next = [known[at - 1], known[at + length]].map(markOf);
    const same = marks.filter(([mark, index]) => mark === next[index]);
    if (marks.length > 0 && same.length === marks.length) return part;
    exact ??= distance === 0 ? part : null;
    if (marks.length === 0 || same.length > 0) likely.push(part);
  }
  return exact ?? (likely.length === 1 ? likely[0] : null) ?? [];
}

/** Return what has come in the place of lines that are gone, if the lines around them are there, once each. */
function replacedOf(hunks: Hunks, place: Place): Lines {
  const known = hunks.flatMap(({ lines }) => lines.filter(({ newNumber }) => newNumber !== null));
  const [from, to] = partsOf(place).around.map((mark) => {
    const all = known.filter((line) => mark && markOf(line) === mark);
    return (all.length === 1 && all[0]?.newNumber) || Number.NaN;
  });
  const end = Math.min(to ?? 0, (from ?? 0) + 2 + place.line - place.start_line);
  return known.filter(({ newNumber: at }) => at && at > (from ?? 0) && at < end);
}

/** Whether a run has changed lines that stood here when it began, or what is next to them. */
export function isChangedAt(hunks: Hunks, place: Place): boolean {
  // What is not in a state of the file stands between two of its lines.
  const gap = partsOf(place).next - 0.5;
  const [from, to] = place.side === "old" ? [gap, gap] : [place.start_line, place.line];
  const changed = hunks.flatMap(({ lines }) => lines.filter(({ kind }) => kind !== "context"));
  const places = changed.map((one) => countersOf(one)[0] - (one.kind === "add" ? 0.5 : 0));
  return places.some((at) => at >= from - 1 && at <= to + 1);
}

/** Whether lines are those that a comment was made on. */
export const isAbout = (lines: Lines, place: Place) => partsOf(placeOf(lines)).code === partsOf(place).code;

/**
 * Return the lines at which a comment stands: its own or, where they are gone, what has come in their place. `own`: the
 * run's own changes of the file, which end with the state that is shown; null: they are what is shown.
 */
export function standingOf(hunks: Hunks, place: Place & { isEarlier?: boolean }, own: Hunks | null): Lines {
  const here = own || !place.isEarlier ? anchorOf(hunks, place) : [];
  if (!place.isEarlier) return here.length > 0 ? here : replacedOf(hunks, place);
  if (place.side === "old") {
    // What was removed before is none of the run's own changes, unless it has brought that back.
    const back = own ? here : anchorOf(hunks, place, "new", partsOf(place).next);
    return own || back.every(({ kind }) => kind === "add") ? back : [];
  }
  const changes = own ?? hunks;
  const found = anchorOf(changes, place, "old").map(({ oldNumber }) => oldNumber);
  // Between the run's own changes are other lines, which may be the same.
  const old = new Set(own && found[0] !== place.start_line ? [] : found);
  const rows = changes
    .flatMap(({ lines }) => splitRows(lines))
    .filter(({ left }) => left && old.has(left.oldNumber));
  if (own && rows.every(({ left, right }) => left === right)) {
    const last = changes
      .flatMap(({ lines }) => lines)
      .findLast((one) => countersOf(one)[0] < place.start_line);
    const [before, now] = last ? countersOf(last) : [0, 0];
    const lines = anchorOf(hunks, place, "new", rows[0]?.right?.newNumber ?? place.start_line + now - before);
    if (lines.length > 0) return lines;
  }
  const numbers = new Set(rows.map(({ right }) => right?.newNumber));
  const isHere = ({ oldNumber, newNumber }: DiffLine) =>
    newNumber === null ? !own && old.has(oldNumber) : numbers.has(newNumber);
  return hunks.flatMap(({ lines }) => lines.filter(isHere));
}
