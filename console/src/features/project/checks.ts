/** What the checks of a run show, in words. Pure. */
import type { CheckResult, FoundCheck, Verification } from "../../api/types";
import type { Tone } from "../../ui/status";

type Reason = Verification["reasons"][number];

const REASONS: Record<string, string> = {
  cancelled: "The run was cancelled.",
  skipped_by_member: "A member skipped the checks.",
  no_repository: "The task has no repository, so there is nothing to check.",
  nothing_changed: "The run changed nothing.",
  no_checks: "No check is defined for this work.",
  no_gating_checks: "All checks are informational.",
  none_applicable: "No check is about the files that were changed.",
  check_failed: "It fails.",
  new_failures: "It fails where the base does not.",
  check_timeout: "It did not end in its time.",
  check_error: "It shows nothing about the work.",
  setup_failed: "The set-up failed, so nothing could be checked.",
  no_tests: "It executed no test.",
  flaky: "It fails at one time and passes at another.",
  cases_removed: "Cases that the base executes are skipped or gone.",
  base_failed_too: "It fails on the base, too, and which failures are new is not known.",
  base_unknown: "What it shows on the base is not known.",
  expect_base_unmet: "It passes on the base already, so it proves nothing.",
  protected_path_changed: "Protected files were changed, and put back for the checks.",
  checks_file_invalid: "The checks file is invalid.",
  commit_differs: "The commit that was checked is not the one that was delivered.",
};

const CAUSES: Record<string, string> = {
  setup_failed: "the set-up failed",
  missing_tool: "a program is missing",
  spawn_failed: "no process could be started",
  out_of_memory: "the memory was used up",
  disk_full: "the disk was full",
  worker: "its worker was lost",
  deadline: "the time for all checks was over",
  report_invalid: "its report is invalid",
  network_blocked: "hosts were blocked",
};

const STOPS: Record<string, string> = {
  limit: "no repair is left",
  repeated: "the same failures came again",
  budget: "its budget is spent",
  deadline: "its time is over",
  agent: "it gave up, or was lost",
  cancelled: "the run was cancelled",
};

const STATUSES: Record<string, [word: string, tone: Tone]> = {
  waiting: ["Waiting", "neutral"],
  running: ["Running", "running"],
  passed: ["Passed", "success"],
  failed: ["Failed", "danger"],
  failed_before: ["Failed as on the base", "neutral"],
  flaky: ["Flaky", "attention"],
  timeout: ["Out of time", "attention"],
  error: ["Error", "attention"],
  no_tests: ["No tests", "attention"],
  skipped: ["Skipped", "neutral"],
  tampered: ["Passed, after protected files were changed", "attention"],
};

export const SIDES = { passed: "Passed", failed: "Failed", error: "Error", not_run: "Not executed" } as const;

/** Return why the work has its verdict, without the check that it is about. */
export function reasonText({ code, detail }: Reason): { text: string; detail: string } {
  const text = REASONS[code] ?? code;
  const [, cause = "", rest = ""] = /^(\w+)(?:: (.*))?$/s.exec(detail) ?? [];
  if (code !== "check_error" || !(cause in CAUSES)) return { text, detail };
  return { text: `${text.slice(0, -1)}: ${CAUSES[cause]}.`, detail: rest };
}

/** Return a reason in the few words that a list has room for. */
export function shortReason({ check, ...reason }: Reason): string {
  const words = reasonText({ check, ...reason }).text.replace(/^It shows nothing about the work: |\.$/g, "");
  return check ? `${check}: ${words.charAt(0).toLowerCase()}${words.slice(1)}` : words;
}

const NAMED = new RegExp(`^(?:(.+?): )?(${Object.keys(REASONS).join("|").replaceAll("_", " ")})(?:: (.*))?$`);

/** Return the reasons that a question names by their codes, one in each line, as the list has them. */
export function reasonsInWords(lines: string): string {
  const words = lines.split("\n").map((line) => {
    const [, check = null, name = "", said = ""] = NAMED.exec(line) ?? [];
    const reason = { check, code: name.replaceAll(" ", "_"), detail: said } as Reason;
    const { detail } = reasonText(reason);
    return name ? shortReason(reason) + (detail && ` (${detail})`) : line;
  });
  return words.join("\n");
}

export const stopText = (stopped: string): string =>
  `The agent was not asked to correct it: ${STOPS[stopped] ?? stopped}.`;

type Ended = Pick<CheckResult, "status" | "cause" | "old_tests">;

export function statusOf({ status, cause, old_tests: old }: Ended): { word: string; tone: Tone } {
  if (status === "passed" && old === "failed")
    return { word: "Passed; the old tests fail", tone: "attention" };
  const [word, tone] = STATUSES[status] ?? [status, "neutral"];
  return { word: cause ? `${word}: ${CAUSES[cause] ?? cause}` : word, tone };
}

/** Return the numbers of cases that are not zero. */
export function countsText(counts: NonNullable<CheckResult["counts"]>): string {
  const words = ["passed", "failed", "new", "fixed", "skipped", "removed"] as const;
  return words.flatMap((word) => (counts[word] ? [`${counts[word]} ${word}`] : [])).join(", ") || "None";
}

export const commandText = ({ run, shell }: Pick<FoundCheck, "run" | "shell">): string =>
  run?.join(" ") ?? shell ?? "";

export const caseText = ({ suite, class: className, name }: CheckResult["new_failures"][0]): string =>
  [suite, className, name].filter(Boolean).join(" > ");
