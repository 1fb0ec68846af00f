/** The difference of two texts as hunks, for edits that agents report with the text before and after. */
import { diffArrays, structuredPatch } from "diff";
import { sidesOf } from "./marks";
import { countersOf, type DiffLine, type Hunk, type LineKind, numbered, parseHunks } from "./patch";

// Beyond this the computation would stop the page; the whole new text is shown as added.
const MAX_MS = 100;

/** Agents report parts of files: the last line of a part has an end, too. */
const ended = (text: string) => (text === "" || text.endsWith("\n") ? text : `${text}\n`);

export function diffTexts(oldText: string | null, newText: string): Hunk[] {
  const options = { context: 3, timeout: MAX_MS };
  const patch = structuredPatch("", "", ended(oldText ?? ""), ended(newText), "", "", options);
  const hunks = patch?.hunks ?? structuredPatch("", "", "", newText).hunks;
  const texts = hunks.map(
    ({ oldStart, newStart, lines }) => `@@ -${oldStart} +${newStart} @@\n${lines.join("\n")}`,
  );
  return parseHunks(texts.join("\n"));
}

export function countLines(hunks: Hunk[]): { additions: number; deletions: number } {
  const lines = hunks.flatMap((hunk) => hunk.lines);
  const count = (kind: LineKind) => lines.filter((line) => line.kind === kind).length;
  return { additions: count("add"), deletions: count("delete") };
}

const bare = ({ text }: DiffLine) => text.replace(/\s+/g, "");
const areAlike = (one: DiffLine, other: DiffLine) => bare(one) === bare(other);

/** Return what is left of hunks without changes of white space alone: such lines are shown as they are now. */
export function withoutSpaces(hunks: readonly Hunk[]): Hunk[] {
  return hunks.flatMap((hunk) => {
    const first = hunk.lines[0];
    const parts = diffArrays(...sidesOf(hunk), { comparator: areAlike, timeout: MAX_MS });
    if (!first || !parts) return hunk;
    let [old, now] = countersOf(first);
    const lines = parts.flatMap(({ value, added, removed }) =>
      value.map(({ text }) => {
        const kind = added ? "add" : removed ? "delete" : "context";
        return numbered(kind, text, added ? old : old++, removed ? now : now++);
      }),
    );
    return lines.some(({ kind }) => kind !== "context") ? { ...hunk, lines } : [];
  });
}
