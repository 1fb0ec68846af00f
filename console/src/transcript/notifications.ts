/** What the service and the agents say beside the protocol's updates: receipts, questions, progress, turns, errors. */
import type { Draft } from "./append";
import type { Item, NoteTone, QuestionItem, Receipt } from "./items";
import { asList, asObject, asText, type Entry, type Json } from "./wire";

export function notificationOf(draft: Draft, entry: Entry): void {
  const { params, timestamp: at } = entry;
  switch (entry.method) {
    case "taskbeacon/command":
      return receipt(draft, params, at);
    case "taskbeacon/progress":
    case "posthog/console":
      return progress(draft, params, at);
    case "taskbeacon/relay_message":
      draft.close();
      return draft.put({
        kind: "agent",
        id: draft.newId("agent"),
        at,
        text: asText(params.text),
        isOpen: false,
      });
    case "taskbeacon/not_stored":
      return note(draft, "warning", `Not stored: ${named(params)}`, at);
    case "posthog/permission_request":
      return question(draft, params, at);
    case "posthog/permission_resolved":
      return resolved(draft, params);
    case "taskbeacon/decided":
      return decided(draft, params, at);
    case "taskbeacon/waiting_for":
      return draft.set({ waiting: asText(params.kind) });
    case "posthog/turn_complete":
      draft.close();
      // A turn that was stopped leaves calls without an end.
      if (params.stopReason === "cancelled") draft.endCalls();
      return draft.put({ kind: "turn", id: draft.newId("turn"), at, stopReason: asText(params.stopReason) });
    case "posthog/error":
      return note(draft, "error", asText(params.message) || asText(params.error) || "The agent failed.", at);
    case "posthog/compact_boundary":
      return note(draft, "info", "The conversation was compacted: the agent continues from a summary.", at);
  }
}

const named = ({ name, message }: Json): string => asText(name) || asText(message) || "a file";

function note(draft: Draft, tone: NoteTone, text: string, at: string): void {
  draft.close();
  draft.put({ kind: "note", id: draft.newId("note"), at, tone, text });
}

const RANK: Record<string, number> = { sending: 0, accepted: 1, delivered: 2, consumed: 3, dropped: 3 };

/** A receipt never goes back, in whatever order its steps are read. */
function receipt(draft: Draft, params: Json, at: string): void {
  if (params.method !== "user_message") return;
  const id = asText(params.command_id);
  const status = asText(params.status) as Receipt["status"];
  if (!id || !(status in RANK)) return;
  const given = params.id;
  if (typeof given === "string" || typeof given === "number") draft.commandIds.set(String(given), id);
  const before = draft.receipts.get(id);
  // Only an agent that begins again gets a message that the one before never got.
  const isKnown = before && (RANK[before.status] ?? 0) >= (RANK[status] ?? 0);
  if (before?.isUngiven ? status === "accepted" : isKnown) return;
  const isUngiven = status === "dropped" && before?.status !== "delivered";
  const after = { status, reason: asText(params.reason), ...(isUngiven && { isUngiven }) };
  draft.receipts.set(id, after);
  const message = draft.find(`user:${id}`, "user");
  if (message) draft.put({ ...message, receipt: after });
  else if (isUngiven && typeof params.text === "string") {
    draft.close();
    const files = asList(params.artifact_ids).map(asText);
    draft.put({ kind: "user", id: `user:${id}`, at, text: params.text, files, receipt: after });
  }
}

const AGAIN = "The run begins again, in a new workspace: what was not pushed is not in it.";
const isAtStart = (item: Item | undefined) => item?.kind === "steps" && item.isStart;

function progress(draft: Draft, params: Json, at: string): void {
  const text = asText(params.message);
  if (!text) return;
  draft.close();
  const isStart = asText(params.step) === "clone";
  // The agent of an attempt before is gone, with its calls.
  if (isStart) draft.endCalls();
  const isAgain = isStart && !isAtStart(draft.items.at(-1)) && draft.items.some(isAtStart);
  if (isAgain) note(draft, "warning", AGAIN, at);
  const last = draft.items.at(-1);
  if (last?.kind === "steps") {
    draft.put({ ...last, steps: [...last.steps, text], isStart: last.isStart || isStart });
  } else {
    draft.put({ kind: "steps", id: draft.newId("steps"), at, steps: [text], isStart });
  }
}

function question(draft: Draft, params: Json, at: string): void {
  const requestId = asText(params.requestId);
  if (!requestId || draft.places.has(`question:${requestId}`)) return;
  draft.close();
  const call = asObject(params.toolCall);
  draft.put({
    kind: "question",
    id: `question:${requestId}`,
    at,
    title: asText(call.title) || "The agent asks for permission",
    toolCallId: asText(params.toolCallId) || asText(call.toolCallId),
    options: asList(params.options).map(option),
    state: "open",
    answer: "",
  });
}

/** Of a call that only asks. Any other one shows what it does. */
function decided(draft: Draft, params: Json, at: string): void {
  const toolCallId = asText(params.toolCallId);
  const id = `decided:${toolCallId}`;
  const call = draft.find(`tool:${toolCallId}`, "tool");
  if (call?.toolKind !== "other" || call.command || draft.places.has(id)) return;
  draft.close();
  const [title, answer] = [call.title, asText(params.name)];
  draft.put({ kind: "question", id, at, title, toolCallId, options: [], state: "unasked", answer });
}

function option(value: unknown) {
  const one = asObject(value);
  const id = asText(one.optionId) || asText(one.id);
  return { id, name: asText(one.name) || id, kind: asText(one.kind) };
}

function resolved(draft: Draft, params: Json): void {
  draft.set({ waiting: "" });
  const item = draft.find(`question:${asText(params.requestId)}`, "question");
  if (!item) return;
  const chosen = asText(params.optionId);
  const picked = item.options.find(({ id }) => id === chosen);
  const answer = picked?.name ?? chosen;
  const state: QuestionItem["state"] = chosen ? "answered" : "closed";
  draft.put({ ...item, state, answer });
  // Not all agents say that a call which was allowed runs now.
  const call = draft.find(`tool:${item.toolCallId}`, "tool");
  if (call?.status === "pending" && picked?.kind.startsWith("allow"))
    draft.put({ ...call, status: "in_progress" });
}
