/** What a run's row says in the words of the console: its state, and the reason for it. */
import { type Run, type RunList, type Task, type Verification, waitingFor } from "../../api/types";
import { safeLink } from "../../text/links";
import { asObject, asText } from "../../transcript/wire";
import { countOf } from "../../ui/counts";
import type { State } from "../../ui/status";
import { shortReason } from "./checks";

export function stateOf(run: Run | null): State {
  if (!run) return "draft";
  if (run.status === "queued") return "queued";
  // What is to be judged looks like nothing that is done.
  const doubt = doubtIn(run.verification);
  if (run.status === "completed" && doubt) return doubt;
  if (run.status !== "in_progress") return run.status;
  if (run.stage === "verifying") return "checking";
  const waits = waitingFor(run);
  if (!waits) return "running";
  return waits.kind === "message" ? "message" : "question";
}

/** The verdict on work that its checks do not prove, until a person accepts it. */
export function doubtIn(of: Pick<Verification, "verdict" | "waived"> | null) {
  return !of?.waived && (of?.verdict === "refuted" || of?.verdict === "inconclusive") ? of.verdict : null;
}

export const isOver = (run: Run | null): boolean =>
  run !== null && ["completed", "failed", "cancelled"].includes(run.status);

/** Whether the reason of its state is that something failed. */
export const isBad = (run: Run | null): boolean =>
  ["refuted", "failed"].includes(stateOf(run)) || waitingFor(run)?.failure !== undefined;

/** The marks of code and of what is strong, which an agent may set in a line. */
const MARKS = /(`+|\*\*)(.+?)\1/g;

/** How long a title is that the service has cut. */
const CUT_TITLE = 60;

/** With this a message announces lines that a single line leaves out. */
const LAST_LINES = / Its last lines:$/;

/** Return why the run is in its state, and what a person has missed, or null where the state says it all. */
export function reasonOf(run: Run | null): string | null {
  if (!run) return "No run yet";
  const missed = Number(run.state.missed_questions ?? 0);
  return (
    [whyOf(run), missed > 0 && `${countOf(missed, "question")} expired`].filter(Boolean).join(" · ") || null
  );
}

function whyOf(run: Run): string | null {
  if (run.status === "queued")
    return [recoveryText(run.state.recovery), queueText(run)].filter(Boolean).join(" · ") || null;
  if (run.status === "failed") return run.error_message?.split("\n")[0]?.replace(LAST_LINES, "") ?? null;
  if (run.status !== "in_progress") return doubtOf(run);
  const waits = waitingFor(run);
  const asks =
    waits?.kind === "message"
      ? (waits.failure ?? "The agent has finished its turn")
      : asText(waits?.tool_call?.title).replace(MARKS, "$2");
  return [asks, attemptText(run)].filter(Boolean).join(" · ") || null;
}

/** What the checks have against the work of a run. */
function doubtOf({ verification }: Run): string | null {
  if (!verification || verification.waived) return null;
  const { verdict, reasons, checks } = verification;
  if (doubtIn(verification)) return reasons.map(shortReason).join(" · ");
  const old = checks.filter(({ old_tests: side }) => verdict === "verified" && side === "failed");
  return old.map(({ id }) => `${id}: the old tests fail`).join(" · ") || null;
}

function attemptText({ state }: Run): string | null {
  if (typeof state.attempts !== "number" || state.attempts < 2) return null;
  return `${recoveryText(state.recovery) ?? "It began again"} (attempt ${state.attempts})`;
}

/** Why a run waits in the queue, and where. */
function queueText(run: Run): string | null {
  const position = run.state.queue_position;
  if (typeof position !== "number") return run.environment === "local" ? "A client performs it" : null;
  const isLimited = run.state.waits_for === "limit";
  const place = `Place ${position >= 1000 ? "1000 or later" : position} in the queue`;
  if (position > 1) return isLimited ? `${place}: the project is at its limit` : `${place} for a worker`;
  return isLimited
    ? "Next, when a run of the project ends; runs that wait for you count, too"
    : "Next for a free worker";
}

function recoveryText(recovery: unknown): string | null {
  const { decision, reason } = (recovery ?? {}) as { decision?: string; reason?: string };
  if (decision !== "queued again") return null;
  const [, loss] = /^worker (lost|stopped)$/.exec(reason ?? "") ?? [];
  return loss ? `Recovered: its worker was ${loss}` : "Recovered";
}

export function usageOf(run: Run) {
  const usage = run.state.usage as { total_tokens?: number; cost?: { amount?: number } } | undefined;
  if (!usage?.total_tokens) return null;
  const budget = run.state.token_budget;
  return {
    tokens: usage.total_tokens,
    cost: usage.cost?.amount ?? null,
    budget: typeof budget === "number" ? budget : null,
  };
}

/** What a run has delivered. A structured output may say anything by these keys; then the state has them. */
export function outputOf(run: Run | null) {
  const [output, state] = [asObject(run?.output), asObject(run?.state)];
  const textOf = (name: string) => asText(state[name]) || asText(output[name]);
  return {
    branch: textOf("head_branch"),
    pullRequest: safeLink(textOf("pr_url")),
    noPullRequest: textOf("pr_error"),
    files: Array.isArray(output.files_changed) ? output.files_changed.length : null,
  };
}

/** How much a run has changed, as far as the service knows. */
export function figuresOf(run: Run | null) {
  const known = run?.state.changes as { files: number; additions: number; deletions: number } | undefined;
  return known ?? { files: outputOf(run).files ?? 0, additions: 0, deletions: 0 };
}

export const patchOf = ({ artifacts }: Pick<Run, "artifacts">) =>
  artifacts.findLast(({ name, type }) => name === "changes.patch" && type === "output");

/** The run whose work it continues, if there is one. */
export const earlierOf = ({ state }: Pick<Run, "state">): string | null =>
  typeof state.resume_from_run_id === "string" ? state.resume_from_run_id : null;

/** The branch that a run has found, of those before it: the newest of `runs` is the first. */
export function branchBefore(run: Run, runs: readonly Run[]): string | null {
  const at = runs.findIndex(({ id }) => id === earlierOf(run));
  const before = runs[at];
  return before ? outputOf(before).branch || branchBefore(before, runs.slice(at + 1)) : null;
}

/** The run that a new one goes on from: the branch has the work of the latest of `runs` that has delivered to it. */
export function tipOf(run: Run, runs: readonly Run[]): Run {
  const branch = outputOf(run).branch || branchBefore(run, runs);
  const at = runs.findIndex(({ id }) => id === run.id);
  return runs.slice(0, at).find((one) => outputOf(one).branch === branch) ?? run;
}

/** Return the names of the files that the run was started with; later ones belong to messages. */
export function filesAtStart({ state, artifacts }: Pick<Run, "state" | "artifacts">): string[] {
  const ids = Array.isArray(state.pending_user_artifact_ids) ? state.pending_user_artifact_ids : [];
  return artifacts.filter(({ id }) => ids.includes(id)).map(({ name }) => name);
}

/** Whether a run is over before its agent began: there is nothing to continue. */
export const neverBegan = (run: Run): boolean =>
  // A client that performs a run says when it ends, but not when its agent begins.
  isOver(run) && run.environment !== "local" && !run.state.agent_started_at;

/** What is said of a run that is over and of which no changes are stored: its end may be stored before its patch. */
export function noChangesText(run: Run): string {
  if (outputOf(run).files === 0) return "The run changed no file.";
  if (neverBegan(run)) return "The run changed no file: its agent never began.";
  // The worker of a run that a person has ended stores what there is; any other run ends after that.
  const later = run.status === "cancelled" ? " Those of a run that was ended come within two minutes." : "";
  return `No changes are stored.${later}`;
}

/** Return what a run of a task is called, counted from the oldest; null if it is none of the newest runs. */
export function runName({ count, results }: RunList, id: string): string | null {
  const index = results.findIndex((run) => run.id === id);
  return index < 0 ? null : `Run ${count - index}`;
}

/** The first line of a description, which the service cuts wherever it is too long, ends at a word. */
export const titleOf = ({ title }: Pick<Task, "title">) =>
  (title.length === CUT_TITLE ? title.replace(/\s+\S*\.\.\.$/, " …") : title) || "Untitled task";

export function agentOf(run: Run): string {
  return [run.runtime_adapter ?? "runbook", run.model].filter(Boolean).join(" · ");
}
