/** Finds text in the rows of a transcript, those that are not drawn too. Pure. */
import type { Row } from "./rows";

/** What is no text of a row: how it is drawn, and what it belongs to. */
const MUTE =
  /^(id|at|kind|toolKind|tone|state|status|parentId|toolCallId|paths|options|receipt|stored|stopReason)$/;

/** Return what a row shows, opened or not. */
const textOf = (value: unknown): string =>
  typeof value === "string"
    ? value
    : Object.entries(value ?? {})
        .flatMap(([name, one]) => (MUTE.test(name) ? [] : textOf(one)))
        .join("\n");

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
