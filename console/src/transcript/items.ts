/** What a transcript shows. Items are immutable: a change makes a new item with the same id. */
export interface Receipt {
  status: "sending" | "accepted" | "delivered" | "consumed" | "dropped" | "failed";
  reason: string;
  /** Whether it was dropped before the agent got it. */
  isUngiven?: boolean;
}

interface Base {
  id: string;
  at: string;
}

interface Spoken<Kind> extends Base {
  kind: Kind;
  text: string;
  /** Whether more of it is expected. */
  isOpen: boolean;
  /** The text of its entries that the log has, and the time of the last one; pieces follow. */
  stored?: { text: string; at: string };
}

export type AgentItem = Spoken<"agent"> | Spoken<"thought">;

export type ToolKind =
  | "read"
  | "edit"
  | "delete"
  | "move"
  | "search"
  | "execute"
  | "think"
  | "fetch"
  | "switch_mode"
  | "other";
export type ToolStatus = "pending" | "in_progress" | "completed" | "failed" | "cancelled";

export interface ToolDiff {
  path: string;
  oldText: string | null;
  newText: string;
}

export interface ToolItem extends Base {
  kind: "tool";
  title: string;
  toolKind: ToolKind;
  status: ToolStatus;
  /** The tool call of the subagent's parent. */
  parentId: string | null;
  paths: string[];
  /** What was run, as the agent says it. */
  command: string;
  output: string;
  exitStatus: number | null;
  diffs: ToolDiff[];
}

export interface PlanEntry {
  text: string;
  status: "pending" | "in_progress" | "completed";
}

export interface QuestionItem extends Base {
  kind: "question";
  title: string;
  toolCallId: string;
  options: { id: string; name: string; kind: string }[];
  /** `unasked`: the permission mode has answered it. */
  state: "open" | "answered" | "closed" | "unasked";
  answer: string;
}

export type NoteTone = "info" | "warning" | "error";

export type Item =
  /** Files by their names, or by their ids where the agent never got them. */
  | (Base & { kind: "user"; text: string; files: string[]; receipt: Receipt | null })
  | AgentItem
  | ToolItem
  | QuestionItem
  /** A fact about the run rather than about the conversation. */
  | (Base & { kind: "note"; tone: NoteTone; text: string })
  | (Base & { kind: "plan"; entries: PlanEntry[] })
  | (Base & { kind: "gap"; lost: number | null })
  /** `isStart`: an attempt at the run begins with them, in a workspace of its own. */
  | (Base & { kind: "steps"; steps: string[]; isStart: boolean })
  | (Base & { kind: "turn"; stopReason: string });

/** What is true now, as far as the transcript says it. */
export interface Standing {
  commands: { name: string; description: string }[];
  mode: string;
  config: { id: string; name: string; value: string; choices: { id: string; name: string }[] }[];
  usage: { used: number; size: number; cost: number | null } | null;
  plan: PlanEntry[];
  status: string;
  /** What the agent waits for: `message`, another kind of question, or nothing. */
  waiting: string;
  /** How much the workspace of the run differs from where it began; `tree` changes with it. */
  changes: { files: number; additions: number; deletions: number; tree: string } | null;
}
