/** Finds text in the rows of a transcript, those that are not drawn too. Pure. */
import type { Row } from "./rows";

/** Return what a row shows, opened or not. */
function textOf(row: Row): string {
  switch (row.kind) {
    case "user":
      return [row.text, ...row.files].join("\n");
    case "agent":
    case "thought":
    case "note":
      return row.text;
    case "tool":
      return [
        row.title,
        row.command,
        row.output,
        ...row.diffs.map(({ path, oldText, newText }) => `${path}\n${oldText ?? ""}\n${newText}`),
      ].join("\n");
    case "fold":
      return row.tools.map(textOf).join("\n");
    case "plan":
      return row.entries.map(({ text }) => text).join("\n");
    case "question":
      return `${row.title}\n${row.answer}`;
    case "steps":
      return row.steps.join("\n");
    case "gap":
    case "turn":
      return "";
  }
}

// Rows are immutable: each is read once, however many letters are typed.
const texts = new WeakMap<Row, string>();

function searched(row: Row): string {
  const text = texts.get(row) ?? textOf(row).toLowerCase();
  texts.set(row, text);
  return text;
}

/** Return the ids of the rows that have a text, which is in lower case. */
export const findRows = (rows: readonly Row[], text: string): string[] =>
  rows.flatMap((row) => (searched(row).includes(text) ? row.id : []));
