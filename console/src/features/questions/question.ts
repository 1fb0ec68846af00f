/** The questions of agents in words, and their options. Pure. */
import type { InboxRow } from "../../api/types";
import { spanInWords } from "../../ui/time";

export type Option = InboxRow["options"][number];

/** The ways of an answer in words; others name themselves. */
const WAYS: Record<string, string> = {
  action_token: "by the link of a notice",
  api: "through the API",
  cli: "on the command line",
  console: "in the console",
};

type GivenAnswer = Partial<Pick<InboxRow, "answer" | "answered_by">> & { answered_via?: string | null };

/** Return which answer counts, and from where: "Answered by Ana in the console: Allow". */
export function answeredText(given: GivenAnswer, options: readonly Pick<Option, "id" | "name">[]): string {
  const { answered_by: by, answered_via: via } = given;
  const answer = (given.answer ?? {}) as { option_id?: string; action?: string };
  const name = options.find(({ id }) => id === answer.option_id)?.name ?? answer.option_id ?? answer.action;
  const how = via ? ` ${WAYS[via] ?? `(${via})`}` : "";
  return `Answered${by ? ` by ${by.first_name || by.email}` : ""}${how}${name ? `: ${name}` : "."}`;
}

/** Return how a question was closed: who answered what and from where, or that its time was over. */
export function closedText(row: InboxRow): string {
  if (row.status === "answered") return answeredText(row, row.options);
  if (row.status !== "expired") return "Closed without an answer";
  if (row.kind === "message") return "Expired: no message came in time";
  const seconds = (Date.parse(row.expires_at ?? row.opened_at) - Date.parse(row.opened_at)) / 1000;
  return `Nobody answered in ${spanInWords(Math.round(seconds))}: counted as refused`;
}

/** Whether the options are answers to choose from: of a permission, one allows it once. */
export const isChoice = (options: readonly Option[]): boolean =>
  options.filter(({ kind }) => kind === "allow_once").length > 1;

export const isAllowing = (option: Option) => option.kind.startsWith("allow");

/** The option that a key means: `a` allows once, `r` rejects once. */
export function optionForKey(options: Option[], key: string): Option | undefined {
  const first = (kind: string) => options.find((option) => option.kind.startsWith(kind));
  if (key === "a") return first("allow_once");
  if (key === "r") return first("reject_once") ?? first("reject");
  return /^[1-9]$/.test(key) ? options[Number(key) - 1] : undefined;
}
