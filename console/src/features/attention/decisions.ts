/** The words for what was decided about a push. Pure. */
import type { Notification } from "../../api/types";

const KINDS: Record<Notification["kind"], string> = {
  completed: "The run was completed",
  failed: "The run failed",
  cancelled: "The run was cancelled",
  awaiting: "The agent needs input",
  test: "A test",
  webhook_disabled: "A webhook endpoint was disabled",
  notify_user: "A message of the agent",
  digest: "The summary after the quiet hours",
};

const DECISIONS: Record<Notification["decision"], string> = {
  pending: "Is being sent",
  retrying: "Not sent yet, and tried again",
  sent: "Sent: the push service has it",
  delivered: "Delivered to the device's push service",
  rejected: "Rejected by the push service",
  given_up: "Given up after an hour of failures",
  suppressed: "Not sent: a device showed the task",
  deferred: "Deferred",
  held_quiet_hours: "Held until the end of the quiet hours",
  digested: "Part of the summary after the quiet hours",
  retracted: "Sent, and taken back",
  not_needed: "Not needed any more",
  reminder: "Sent once more as a reminder",
  muted: "Not sent",
  cooled_down: "Not sent: another one of this kind went out shortly before",
  no_token: "Not sent: you have no device",
  no_access: "Not sent: you cannot see the task any more",
  throttled: "Not sent: too many messages of the agent",
};

const REASONS: Record<string, string> = {
  presence: "a device shows the task",
  answer_grace: "you have just answered on this task",
  snoozed: "you have snoozed the question",
  quiet_hours: "your quiet hours",
  cooldown: "another one of this kind went out shortly before",
  answered: "the question was answered",
  expired: "the time to answer was over",
  withdrawn: "the agent does not wait any more",
  replaced: "the notice of the end of the run took its place",
  still_open: "the question was still open",
  seen: "you have seen it",
  task_muted: "the task is muted",
  kind_off: "you have switched this kind off",
  project_off: "the project allows no messages of agents",
  one_a_minute: "at most one a minute",
  five_a_run: "at most five for each run",
  DeviceNotRegistered: "the device is not registered any more",
  NotReached: "there was no time left for it",
  NotComposed: "the message could not be made",
  results_lost: "its results could not be stored",
  ConnectError: "the push service could not be reached",
  ConnectTimeout: "the push service could not be reached",
  ReadTimeout: "the push service did not answer in time",
  WebPushNotConfigured: "the service has no key for web push",
};

// A newer service may say more.
export const kindText = (kind: Notification["kind"]): string => KINDS[kind] ?? kind;
export const decisionText = (decision: Notification["decision"]) => DECISIONS[decision] ?? decision;
/** Words for why a notice was decided so; null where the decision says it already. */
export function whyText({ decision, reason }: Pick<Notification, "decision" | "reason">): string | null {
  const says = /^(cooled_down|held_quiet_hours|digested|no_token|no_access|suppressed)$/;
  return reason && !says.test(decision) ? reasonText(reason) : null;
}
export const reasonText = (reason: string) => REASONS[reason] ?? reason.replaceAll("_", " ");

export function toneOf(decision: string) {
  if (/^(sent|reminder|delivered)$/.test(decision)) return "success";
  if (/^(pending|retrying|deferred|held_quiet_hours)$/.test(decision)) return "attention";
  return /^(rejected|given_up)$/.test(decision) ? "danger" : "faint";
}

/** What happened to a push, in order. */
export const stepsOf = ({ history }: Pick<Notification, "history">) =>
  history.map((step) => {
    const why = whyText(step);
    return { text: decisionText(step.decision) + (why ? `: ${why}` : ""), at: step.at };
  });
