/** Unified diffs: a file's patch as numbered lines, with more of the file between its hunks where that is known. Pure. */

export type LineKind = "context" | "add" | "delete";

export interface DiffLine {
  /** Its place among all lines of both states of the file, whether or not those between are shown. */
  at: number;
  kind: LineKind;
  text: string;
  oldNumber: number | null;
  newNumber: number | null;
}

/** Lines that are left out before a hunk. */
export interface Gap {
  /** Which hunk of the patch they stand before. */
  id: number;
  /** null: not known, at the end of a file. */
  size: number | null;
}

export interface Hunk {
  header: string;
  lines: DiffLine[];
  gap?: Gap | null;
}

const HUNK = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)$/;

/** A side without lines is numbered by the line before. */
const startOf = (line: string | undefined, count: string | undefined) =>
  Number(line) + (count === "0" ? 1 : 0);

export function numbered(kind: LineKind, text: string, oldNumber: number, newNumber: number): DiffLine {
  return {
    at: oldNumber + newNumber,
    kind,
    text,
    oldNumber: kind === "add" ? null : oldNumber,
    newNumber: kind === "delete" ? null : newNumber,
  };
}

const KINDS: Record<string, LineKind> = { "+": "add", "-": "delete" };

/** Return the hunks of one file's patch; what stands before the first hunk is left out. */
export function parseHunks(patch: string): Hunk[] {
  const hunks: Hunk[] = [];
  let [oldNumber, newNumber] = [0, 0];
  for (const line of patch.replace(/\n$/, "").split("\n")) {
    const start = HUNK.exec(line);
    if (start) {
      [oldNumber, newNumber] = [startOf(start[1], start[2]), startOf(start[3], start[4])];
      hunks.push({ header: start[5]?.trim() ?? "", lines: [] });
      continue;
    }
    const hunk = hunks.at(-1);
    if (!hunk || line.startsWith("\\")) continue;
    const kind = KINDS[line[0] ?? ""] ?? "context";
    hunk.lines.push(numbered(kind, line.slice(1), oldNumber, newNumber));
    if (kind !== "add") oldNumber += 1;
    if (kind !== "delete") newNumber += 1;
  }
  return hunks.filter(({ lines }) => lines.length > 0);
}

/** How far both states of the file have been read before a line. */
export const countersOf = ({ at, oldNumber, newNumber }: DiffLine): [old: number, now: number] =>
  oldNumber === null ? [at - (newNumber ?? 0), newNumber ?? 0] : [oldNumber, at - oldNumber];

/** How many lines of a gap are shown: at its top, and at its end. */
export interface Opened {
  top: number;
  end: number;
}

// What git shows around a change: fewer lines behind the last one are the end of the file.
const CONTEXT = 3;

/**
 * Return the hunks with the gaps before them and, as a hunk without lines, the one at the end of the file. Where a gap
 * is opened, lines of `file` are shown, which is the file as it was; null as long as it is not known.
 */
export function withGaps(
  hunks: readonly Hunk[],
  file: readonly string[] | null,
  opened: ReadonlyMap<number, Opened>,
): Hunk[] {
  const shown: Hunk[] = [];
  let [old, now] = [1, 1];
  for (const [id, hunk] of [...hunks, { header: "", lines: [] }].entries()) {
    const [first, last] = [hunk.lines[0], hunk.lines.at(-1)];
    const next = first ? countersOf(first)[0] : file && file.length + 1;
    const size = next === null ? null : next - old;
    const { top, end } = (file && opened.get(id)) || { top: 0, end: 0 };
    const above = Math.min(top, size ?? 0);
    const below = Math.min(end, (size ?? 0) - above);
    const left = size === null ? null : size - above - below;
    const gap = left === 0 ? null : { id, size: left };
    const lines = (from: number, count: number) =>
      (file ?? [])
        .slice(old - 1 + from, old - 1 + from + count)
        .map((text, index) => numbered("context", text, old + from + index, now + from + index));
    const rest = [...lines((size ?? 0) - below, below), ...hunk.lines];
    const before = shown.at(-1);
    before?.lines.push(...lines(0, above));
    const isEndKnown = !first && !file && trailing(hunks.at(-1)) < CONTEXT;
    if (left === 0 && before) before.lines.push(...rest);
    else if (!isEndKnown) shown.push({ header: gap ? hunk.header : "", lines: rest, gap });
    if (last) {
      const [oldEnd, newEnd] = countersOf(last);
      [old, now] = [oldEnd + (last.kind === "add" ? 0 : 1), newEnd + (last.kind === "delete" ? 0 : 1)];
    }
  }
  return shown;
}

/** Return the hunks with all lines of the file. */
export const wholeOf = (hunks: readonly Hunk[], file: readonly string[]): Hunk[] =>
  withGaps(hunks, file, new Map([...hunks, null].map((_, id) => [id, { top: 0, end: file.length }])));

/** Return what is to be opened so that lines of the whole file are shown, too. */
export function openedTo(
  lines: readonly DiffLine[],
  hunks: readonly Hunk[],
  file: readonly string[],
  opened: ReadonlyMap<number, Opened>,
): ReadonlyMap<number, Opened> {
  const numbers = lines.flatMap(({ newNumber }) => newNumber ?? []);
  const [from, to] = [numbers[0] ?? 0, numbers.at(-1) ?? 0];
  const all = new Map(opened);
  let first = 1;
  for (const hunk of withGaps(hunks, file, new Map())) {
    const { id, size } = hunk.gap ?? { id: 0, size: 0 };
    const behind = first + (size ?? 0);
    if (from < behind && to >= first) {
      const { top, end } = opened.get(id) ?? { top: 0, end: 0 };
      const [fromTop, fromEnd] = [to - first + 1 + CONTEXT, behind - from + CONTEXT];
      // Nothing stands above the first gap that its top could join.
      const isTop = id > 0 && fromTop < fromEnd;
      all.set(id, isTop ? { top: Math.max(top, fromTop), end } : { top, end: Math.max(end, fromEnd) });
    }
    const last = hunk.lines.at(-1);
    if (last) first = countersOf(last)[1] + (last.kind === "delete" ? 0 : 1);
  }
  return all;
}

/** How many unchanged lines stand at the end of a hunk. */
const trailing = (hunk: Hunk | undefined): number =>
  hunk ? hunk.lines.length - 1 - hunk.lines.findLastIndex(({ kind }) => kind !== "context") : 0;

/** Whether the lines of a patch are those of a file as it was: it may be another state of it. */
export const isOf = (hunks: readonly Hunk[], file: readonly string[]): boolean =>
  hunks.every(({ lines }) =>
    lines.every(({ oldNumber, text }) => oldNumber === null || file[oldNumber - 1] === text),
  );

export interface SplitRow {
  left: DiffLine | null;
  right: DiffLine | null;
}

/** Return lines side by side: deletions beside the additions that follow them. */
export function splitRows(lines: readonly DiffLine[]): SplitRow[] {
  const rows: SplitRow[] = [];
  /** The row of the next addition: the first deletion that has none beside it. */
  let next = 0;
  for (const [index, line] of lines.entries()) {
    const isAdded = line.kind === "add";
    if (line.kind === "delete" && lines[index - 1]?.kind !== "delete") next = rows.length;
    if (isAdded && rows[next]) rows[next] = { left: rows[next]?.left ?? null, right: line };
    else rows.push({ left: isAdded ? null : line, right: line.kind === "delete" ? null : line });
    if (isAdded) next += 1;
    else if (line.kind === "context") next = rows.length;
  }
  return rows;
}
