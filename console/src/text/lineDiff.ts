/** The difference of two texts as hunks, for edits that agents report with the text before and after. */
import { structuredPatch } from "diff";
import { type Hunk, type LineKind, parseHunks } from "./patch";

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
