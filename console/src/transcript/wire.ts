/**
 * What comes over the wire: entries of a run's log, and events of its stream.
 *
 * Nothing in them is trusted. Agents write most of it, each in its own dialect, so every access goes through the
 * readers below: what has another shape than expected reads as absent.
 */

export type Json = Record<string, unknown>;

export const asObject = (value: unknown): Json =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};

export const asList = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

export const asText = (value: unknown): string => (typeof value === "string" ? value : "");

export const asNumber = (value: unknown): number | null =>
  typeof value === "number" && Number.isFinite(value) ? value : null;

/** One entry of a log, or one event of a stream, with its parts found. */
export interface Entry {
  type: string;
  timestamp: string;
  method: string;
  params: Json;
  /** The whole, for events that are no notification. */
  raw: Json;
}

export function readEntry(value: unknown): Entry {
  const raw = asObject(value);
  const notification = asObject(raw.notification);
  return {
    type: asText(raw.type),
    timestamp: asText(raw.timestamp),
    // Agents outside our workers send the reference's names with one underscore or two.
    method: asText(notification.method).replace(/^_+/, ""),
    params: asObject(notification.params),
    raw,
  };
}

/** Two readings of the same entry, from the log and from the stream, have the same key. */
export const entryKey = (value: unknown): string => JSON.stringify(value);

/** Return the text of a content block, or of several; other blocks are named. */
export function blockText(content: unknown): string {
  if (typeof content === "string") return content;
  if (Array.isArray(content)) return content.map(blockText).filter(Boolean).join("\n");
  const block = asObject(content);
  if (block.type === "text" || "text" in block) return asText(block.text);
  return asText(asObject(block.resource).text);
}
