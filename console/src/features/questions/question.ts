/** A question as the card shows it, from the inbox or from the state of a run. Pure. */
import { type InboxRow, type Run, type UserBasic, waitingFor } from "../../api/types";

export interface Option {
  id: string;
  name: string;
  kind: string;
}

export interface Question {
  /** Changes with the question, so that a card begins again. */
  key: string;
  kind: "permission" | "form" | "url";
  title: string;
  detail: string;
  options: Option[];
  schema: unknown;
  link: string | null;
  linkHost: string | null;
  /** Null where only the inbox would say it. */
  risk: InboxRow["risk"] | null;
  expiresAt: string | null;
  /** How to answer: by the inbox, or by a command to the run. */
  row: InboxRow | null;
  requestId: string | null;
}

export function fromRow(row: InboxRow): Question | null {
  if (row.kind === "message") return null;
  return {
    key: row.id,
    kind: row.kind,
    title: row.title,
    detail: row.detail,
    options: row.options,
    schema: row.schema,
    link: row.link,
    linkHost: row.link_host,
    risk: row.risk,
    expiresAt: row.expires_at,
    row,
    requestId: null,
  };
}

/** For people who can answer and have it not in their inbox, such as members who look at a shared task. */
export function fromRun(run: Run): Question | null {
  const waits = waitingFor(run);
  if (run.status !== "in_progress" || waits?.kind !== "permission" || !waits.request_id) return null;
  const input = waits.tool_call?.rawInput;
  return {
    key: waits.request_id,
    kind: "permission",
    title: waits.tool_call?.title || "The agent asks for permission",
    detail: typeof input === "object" && input !== null ? detailOf(input as Record<string, unknown>) : "",
    options: (waits.options ?? []).map(({ optionId, name, kind }) => ({ id: optionId, name, kind })),
    schema: null,
    link: null,
    linkHost: null,
    risk: null,
    expiresAt: null,
    row: null,
    requestId: waits.request_id,
  };
}

function detailOf(input: Record<string, unknown>): string {
  const command = input.command ?? input.cmd;
  if (typeof command === "string") return command;
  if (Array.isArray(command)) return command.join(" ");
  return Object.keys(input).length ? JSON.stringify(input, null, 2) : "";
}

/** The ways of an answer in words; others come from apps, which name themselves. */
const WAYS: Record<string, string> = { console: "in the console", action_token: "by the link of a notice" };

interface GivenAnswer {
  answer?: unknown;
  answered_by?: UserBasic | null;
  answered_via?: string | null;
}

/** Return which answer counts, and from where: "Answered by Ana in the console: Allow". */
export function answeredText(given: GivenAnswer, options: readonly Pick<Option, "id" | "name">[]): string {
  const { answered_by: by, answered_via: via } = given;
  const answer = (given.answer ?? {}) as { option_id?: string; action?: string };
  const name = options.find(({ id }) => id === answer.option_id)?.name ?? answer.option_id ?? answer.action;
  const how = via ? ` ${WAYS[via] ?? `(${via})`}` : "";
  return `Answered${by ? ` by ${by.first_name || by.email}` : ""}${how}${name ? `: ${name}` : "."}`;
}

/** Whether the options are answers to choose from: of a permission, one allows it once. */
export const isChoice = (options: readonly Option[]): boolean =>
  options.filter(({ kind }) => kind === "allow_once").length > 1;

export const isAllowing = (option: Option) => option.kind.startsWith("allow");

/** The option that a key means: `a` allows once, `r` rejects once. */
export function optionForKey(options: Option[], key: string): Option | undefined {
  if (key === "a") return options.find(({ kind }) => kind === "allow_once");
  if (key === "r")
    return (
      options.find(({ kind }) => kind === "reject_once") ??
      options.find(({ kind }) => kind.startsWith("reject"))
    );
  return /^[1-9]$/.test(key) ? options[Number(key) - 1] : undefined;
}
