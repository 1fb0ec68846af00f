/** Unified diffs: a file's patch as numbered lines. */

export type LineKind = "context" | "add" | "delete";

export interface DiffLine {
  /** Its place among all lines of the patch. */
  at: number;
  kind: LineKind;
  text: string;
  oldNumber: number | null;
  newNumber: number | null;
}

export interface Hunk {
  header: string;
  lines: DiffLine[];
}

const HUNK = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@(.*)$/;

/** Return the hunks of one file's patch; what stands before the first hunk is left out. */
export function parseHunks(patch: string): Hunk[] {
  const hunks: Hunk[] = [];
  let oldNumber = 0;
  let newNumber = 0;
  let at = 0;
  for (const line of patch.replace(/\n$/, "").split("\n")) {
    const start = HUNK.exec(line);
    if (start) {
      oldNumber = Number(start[1]);
      newNumber = Number(start[2]);
      hunks.push({ header: start[3]?.trim() ?? "", lines: [] });
      continue;
    }
    const hunk = hunks.at(-1);
    if (!hunk || line.startsWith("\\")) continue;
    const text = line.slice(1);
    if (line.startsWith("+")) {
      hunk.lines.push({ at: at++, kind: "add", text, oldNumber: null, newNumber: newNumber++ });
    } else if (line.startsWith("-")) {
      hunk.lines.push({ at: at++, kind: "delete", text, oldNumber: oldNumber++, newNumber: null });
    } else {
      hunk.lines.push({
        at: at++,
        kind: "context",
        text,
        oldNumber: oldNumber++,
        newNumber: newNumber++,
      });
    }
  }
  return hunks;
}

export interface SplitRow {
  left: DiffLine | null;
  right: DiffLine | null;
}

/** Return lines side by side: deletions beside the additions that follow them. */
export function splitRows(lines: DiffLine[]): SplitRow[] {
  const rows: SplitRow[] = [];
  let index = 0;
  while (index < lines.length) {
    const line = lines[index] as DiffLine;
    if (line.kind === "context") {
      rows.push({ left: line, right: line });
      index += 1;
      continue;
    }
    const deleted = takeWhile(lines, index, "delete");
    const added = takeWhile(lines, index + deleted.length, "add");
    for (let row = 0; row < Math.max(deleted.length, added.length); row += 1) {
      rows.push({ left: deleted[row] ?? null, right: added[row] ?? null });
    }
    index += deleted.length + added.length;
  }
  return rows;
}

function takeWhile(lines: DiffLine[], start: number, kind: LineKind): DiffLine[] {
  let end = start;
  while (lines[end]?.kind === kind) end += 1;
  return lines.slice(start, end);
}
