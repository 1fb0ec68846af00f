/** Tool calls: what they are about, what they printed, and what they changed. */
import type { Draft } from "./append";
import type { ToolDiff, ToolItem, ToolKind, ToolStatus } from "./items";
import { asList, asNumber, asObject, asText, blockText, type Json } from "./wire";

const KINDS = new Set("read edit delete move search execute think fetch switch_mode".split(" "));
const STATUSES = new Set<string>(["pending", "in_progress", "completed", "failed", "cancelled"]);
const ENDED = new Set<ToolStatus>(["completed", "failed", "cancelled"]);
const NEW: Omit<ToolItem, "id" | "at"> = {
  kind: "tool",
  title: "",
  toolKind: "other",
  status: "pending",
  parentId: null,
  paths: [],
  command: "",
  output: "",
  exitStatus: null,
  diffs: [],
};
// A tool that floods must not fill the memory of the page; the end of its output counts most.
const MAX_OUTPUT = 400_000;

export function toolCall(draft: Draft, update: Json, at: string): void {
  const id = asText(update.toolCallId);
  if (!id) return;
  const known = draft.find(`tool:${id}`, "tool");
  draft.put(merge(known ?? { ...NEW, id: `tool:${id}`, at }, update));
}

function merge(tool: ToolItem, update: Json): ToolItem {
  const meta = asObject(update._meta);
  const parent = asText(asObject(meta.claudeCode).parentToolUseId) || asText(meta.parentToolUseId);
  const status = STATUSES.has(asText(update.status)) ? (update.status as ToolStatus) : tool.status;
  const content = asList(update.content);
  const diffs = content.map(diffOf).filter((diff) => diff !== null);
  const paths = asList(update.locations)
    .map((location) => asText(asObject(location).path))
    .filter(Boolean);
  return {
    ...tool,
    title: asText(update.title) || tool.title,
    toolKind: KINDS.has(asText(update.kind)) ? (update.kind as ToolKind) : tool.toolKind,
    // A late piece of output must not open a call again that has ended.
    status: ENDED.has(tool.status) && !ENDED.has(status) ? tool.status : status,
    parentId: parent ? `tool:${parent}` : tool.parentId,
    paths: paths.length ? paths : tool.paths,
    command: commandOf(asObject(update.rawInput)) || tool.command,
    output: output(tool, update, content, meta),
    exitStatus: exitStatus(update, meta) ?? tool.exitStatus,
    diffs: diffs.length ? diffs : tool.diffs,
  };
}

function commandOf(input: Json): string {
  const command = input.command ?? input.cmd ?? input.text;
  if (Array.isArray(command)) return command.map(String).join(" ");
  return asText(command);
}

function diffOf(value: unknown): ToolDiff | null {
  const block = asObject(value);
  if (block.type !== "diff") return null;
  const oldText = typeof block.oldText === "string" ? block.oldText : null;
  return { path: asText(block.path), oldText, newText: asText(block.newText) };
}

/** Return all output so far. Agents send what is new, all of it each time, or pieces in `_meta.terminal_output`. */
function output(tool: ToolItem, update: Json, content: unknown[], meta: Json): string {
  const piece =
    asText(asObject(meta.terminal_output).data) || asText(asObject(meta.terminal_output_delta).data);
  if (piece) return shorten(tool.output + piece);
  const text = content
    .map(asObject)
    .filter((block) => block.type === "content")
    .map((block) => unfenced(blockText(block.content)))
    .filter(Boolean)
    .join("\n");
  if (!text) return tool.output || shorten(rawOutput(update.rawOutput));
  const isWhole = ENDED.has(update.status as ToolStatus) || text.startsWith(tool.output);
  return shorten(isWhole ? text : tool.output + text);
}

/** Claude Code puts what a command printed into a block of code. */
function unfenced(text: string): string {
  return /^(`{3,})\w*\n([\s\S]*?)\n?\1\s*$/.exec(text)?.[2] ?? text;
}

/** Some agents give their output as text, some as an object of texts, some as characters by index. */
function rawOutput(value: unknown): string {
  if (typeof value === "string") return value;
  const raw = asObject(value);
  const named = [raw.formatted_output, raw.output, raw.stdout, raw.stderr, raw.content]
    .map(blockText)
    .filter(Boolean);
  if (named.length) return named.join("\n");
  const indexed = Object.keys(raw);
  if (!indexed.every((key, index) => key === String(index))) return "";
  return Object.values(raw)
    .map(blockText)
    .join(indexed.length > 1 && asText(raw[0]).length > 1 ? "\n" : "");
}

function exitStatus(update: Json, meta: Json): number | null {
  const raw = asObject(update.rawOutput);
  return asNumber(raw.exitStatus ?? raw.exit_code ?? raw.exitCode ?? asObject(meta.terminal_exit).exit_code);
}

function shorten(text: string): string {
  return text.length <= MAX_OUTPUT ? text : `… ${text.slice(-MAX_OUTPUT)}`;
}
