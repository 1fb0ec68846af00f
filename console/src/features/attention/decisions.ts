/** The words for what was decided about a push. Pure. */
import type { Notification } from "../../api/types";

const KINDS: Record<string, string> = {
  completed: "The run was completed",
  failed: "The run failed",
  cancelled: "The run was cancelled",
  awaiting: "The agent needs input",
  test: "A test",
};

const DECISIONS: Record<string, string> = {
  pending: "Is being sent",
  retrying: "Not sent yet: it is tried again",
  sent: "Sent: the push service has it",
  delivered: "Delivered to the device's push service",
  rejected: "Rejected by the push service",
  given_up: "Given up after an hour of failures",
  suppressed: "Not sent: a device showed the task",
  deferred: "Held back",
  held_quiet_hours: "Held back for the quiet hours",
  digested: "Part of the summary after the quiet hours",
  retracted: "Taken back: the question was answered",
  not_needed: "Not needed any more",
  reminder: "Sent again as a reminder",
  muted: "Not sent: you muted it",
  cooled_down: "Not sent: the same notice went out shortly before",
  no_token: "Not sent: you have no device",
  no_access: "Not sent: you cannot see the task any more",
  throttled: "Not sent: too many",
};

const REASONS: Record<string, string> = {
  presence: "a device shows the task",
  answer_grace: "you have just answered on this task",
  snoozed: "you have snoozed the question",
  quiet_hours: "your quiet hours",
  cooldown: "shortly after another one",
  answered: "the question was answered",
  seen: "you have seen it",
  task_muted: "the task is muted",
  kind_off: "this kind is switched off",
  DeviceNotRegistered: "the device is not registered any more",
};

export const kindText = (kind: string) => KINDS[kind] ?? kind.replaceAll("_", " ");
export const decisionText = (decision: string) => DECISIONS[decision] ?? decision.replaceAll("_", " ");
export const reasonText = (reason: string) => REASONS[reason] ?? reason.replaceAll("_", " ");

export type Tone = "good" | "waiting" | "bad" | "neutral";

const TONES: Record<string, Tone> = {
  sent: "good",
  reminder: "good",
  delivered: "good",
  pending: "waiting",
  retrying: "waiting",
  deferred: "waiting",
  held_quiet_hours: "waiting",
  rejected: "bad",
  given_up: "bad",
};

export const toneOf = (decision: string): Tone => TONES[decision] ?? "neutral";

export interface Step {
  text: string;
  at: string;
}

/** What happened to a push, in order. */
export function stepsOf(row: Notification): Step[] {
  if (row.history.length) {
    return row.history.map(({ decision, reason, at }) => ({
      text: reason ? `${decisionText(decision)} (${reasonText(reason)})` : decisionText(decision),
      at,
    }));
  }
  const steps: Step[] = [{ text: "Decided", at: row.created_at }];
  if (row.sent_at) steps.push({ text: "Taken by the push service", at: row.sent_at });
  if (row.settled_at && row.settled_at !== row.created_at)
    steps.push({ text: "Settled", at: row.settled_at });
  return steps;
}
