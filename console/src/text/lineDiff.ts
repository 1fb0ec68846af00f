/** The difference of two texts as hunks, for edits that agents report with the text before and after. */
import { structuredPatch } from "diff";
import { type Hunk, parseHunks } from "./patch";

const CONTEXT = 3;
// Beyond this the computation would stop the page; the whole new text is shown as added.
const MAX_MS = 100;

/** Agents report parts of files: the last line of a part has an end, too. */
const ended = (text: string) => (text === "" || text.endsWith("\n") ? text : `${text}\n`);

/** Return the hunks as a patch without the names of files. */
export function textPatch(oldText: string | null, newText: string): string {
  const patch = structuredPatch("", "", ended(oldText ?? ""), ended(newText), "", "", {
    context: CONTEXT,
    timeout: MAX_MS,
  });
  const hunks = patch?.hunks ?? structuredPatch("", "", "", newText).hunks;
  return hunks
    .map(({ oldStart, newStart, lines }) => `@@ -${oldStart} +${newStart} @@\n${lines.join("\n")}`)
    .join("\n");
}

export function diffTexts(oldText: string | null, newText: string): Hunk[] {
  return parseHunks(textPatch(oldText, newText));
}

export function countLines(hunks: Hunk[]): { additions: number; deletions: number } {
  const lines = hunks.flatMap((hunk) => hunk.lines);
  return {
    additions: lines.filter((line) => line.kind === "add").length,
    deletions: lines.filter((line) => line.kind === "delete").length,
  };
}
