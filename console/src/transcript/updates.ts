/** Updates of the Agent Client Protocol (`session/update`), one handler for each kind. */
import type { Draft } from "./append";
import type { AgentItem, PlanEntry } from "./items";
import { toolCall } from "./tools";
import { asList, asNumber, asObject, asText, blockText, type Entry, type Json } from "./wire";

export function updateOf(draft: Draft, entry: Entry): void {
  const update = asObject(entry.params.update);
  const at = entry.timestamp;
  switch (update.sessionUpdate) {
    case "agent_message_chunk":
      return grow(draft, "agent", update, at);
    case "agent_thought_chunk":
      return grow(draft, "thought", update, at);
    case "agent_message":
      return finish(draft, update, at);
    case "user_message_chunk":
    case "user_message":
      return userMessage(draft, update, at);
    case "tool_call":
    case "tool_call_update":
      draft.close();
      return toolCall(draft, update, at);
    case "plan":
      return plan(draft, update, at);
    case "current_mode_update":
      return mode(draft, asText(update.currentModeId) || asText(update.modeId), at);
    case "config_option_update":
      return draft.set({ config: asList(update.configOptions).map(configOption) });
    case "available_commands_update":
      return draft.set({ commands: asList(update.availableCommands).map(command) });
    case "usage_update":
      return usage(draft, update);
  }
}

function grow(draft: Draft, kind: AgentItem["kind"], update: Json, at: string): void {
  const text = blockText(update.content);
  const given = asText(update.messageId);
  const id = given && `${kind}:${given}`;
  const open = draft.openId === null ? null : draft.find(draft.openId, kind);
  if (open && (!id || open.id === id)) return draft.put({ ...open, text: open.text + text });
  draft.close();
  const known = id ? draft.find(id, kind) : null;
  // Pieces of what is stored already come again after a reconnection; newer ones go on.
  if (!text || (known && (!known.stored || at <= known.stored.at))) return;
  const item: AgentItem = known
    ? { ...known, text: known.text + text, isOpen: true }
    : { kind, id: id || draft.newId(kind), at, text, isOpen: true };
  draft.put(item);
  draft.openId = item.id;
}

/** A stored text takes the place of its pieces; a message may be stored in several entries. */
function finish(draft: Draft, update: Json, at: string): void {
  const given = asText(update.messageId);
  const open = draft.openId === null ? null : draft.find(draft.openId, "agent");
  const id = given ? `agent:${given}` : (open?.id ?? draft.newId("agent"));
  const known = draft.find(id, "agent");
  const earlier = known?.stored;
  const piece = blockText(update.content);
  draft.close();
  const isRepeated = earlier !== undefined && at <= earlier.at && earlier.text.endsWith(piece);
  const text = isRepeated ? earlier.text : (earlier?.text ?? "") + piece;
  draft.put({ kind: "agent", id, at: known?.at ?? at, text, isOpen: false, stored: { text, at } });
}

function userMessage(draft: Draft, update: Json, at: string): void {
  draft.close();
  draft.set({ waiting: "" });
  const given = asText(update.messageId);
  const block = asObject(update.content);
  const link = block.type === "resource_link" || block.type === "resource" ? [fileName(block)] : [];
  const text = link.length ? "" : blockText(update.content);
  const last = draft.items.at(-1);
  const known = given ? draft.find(`user:${given}`, "user") : last?.kind === "user" ? last : null;
  if (known) {
    // The same message may be read twice; only new pieces are added.
    const isRepeated = text !== "" && known.text.endsWith(text);
    const files = [...known.files, ...link.filter((name) => !known.files.includes(name))];
    const whole = isRepeated ? known.text : [known.text, text].filter(Boolean).join("\n");
    return draft.put({ ...known, text: whole, files });
  }
  const id = given ? `user:${given}` : draft.newId("user");
  draft.put({ kind: "user", id, at, text, files: link, receipt: draft.receipts.get(given) ?? null });
}

function fileName(block: Json): string {
  const resource = asObject(block.resource);
  const uri = asText(block.uri) || asText(resource.uri);
  return asText(block.name) || (uri.split("/").at(-1) ?? "file");
}

function plan(draft: Draft, update: Json, at: string): void {
  draft.close();
  const entries = asList(update.entries).map(planEntry);
  draft.set({ plan: entries });
  // An agent sends its whole plan at each change: one item, at the place where the plan was made.
  const last = draft.items.findLast(({ kind }) => kind === "plan" || kind === "user" || kind === "turn");
  const known = last?.kind === "plan" ? last : null;
  draft.put({ kind: "plan", id: known?.id ?? draft.newId("plan"), at: known?.at ?? at, entries });
}

function planEntry(value: unknown): PlanEntry {
  const entry = asObject(value);
  const status = entry.status === "completed" || entry.status === "in_progress" ? entry.status : "pending";
  return { text: asText(entry.content), status };
}

function mode(draft: Draft, id: string, at: string): void {
  if (!id || draft.standing.mode === id) return;
  draft.close();
  draft.set({ mode: id });
  draft.put({ kind: "note", id: draft.newId("note"), at, tone: "info", text: `Mode: ${id}` });
}

function configOption(value: unknown) {
  const option = asObject(value);
  const groups = asList(option.options).flatMap((choice) => {
    const inner = asObject(choice);
    return Array.isArray(inner.options) ? inner.options : [choice];
  });
  const choices = groups.map((choice) => {
    const one = asObject(choice);
    const id = asText(one.value) || asText(one.id);
    return { id, name: asText(one.name) || id };
  });
  const id = asText(option.id);
  return { id, name: asText(option.name) || id, value: String(option.currentValue ?? ""), choices };
}

function command(value: unknown) {
  const one = asObject(value);
  return { name: asText(one.name), description: asText(one.description) };
}

function usage(draft: Draft, update: Json): void {
  const cost = asNumber(asObject(update.cost).amount);
  draft.set({ usage: { used: asNumber(update.used) ?? 0, size: asNumber(update.size) ?? 0, cost } });
}
