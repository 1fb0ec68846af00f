/** How a run or a turn ended: what it has left, and what can be done next. */
import * as icons from "lucide-react";
import { useState } from "react";
import { Link, useLocation, useSearchParams } from "wouter";
import { downloadPath } from "../../api/commands";
import type { Run, Task, Verification } from "../../api/types";
import { visible } from "../../text/marks";
import { asObject, asText } from "../../transcript/wire";
import { classes } from "../../ui/classes";
import { Button, type ButtonProps } from "../../ui/controls";
import { CopyButton } from "../../ui/copy";
import { countOf } from "../../ui/counts";
import { useMedia } from "../../ui/media";
import { passedText, StateBadge, VerdictBadge } from "../../ui/status";
import { Terminal } from "../../ui/terminal";
import { Age } from "../../ui/time";
import { useOutcome, useWhole } from "../changes/useReview";
import { nameOf } from "../project/project";
import * as facts from "../project/runState";
import { TaskDialog } from "../tasks/TaskDialog";
import type { ConversationProps } from "./Conversation";
import { Result } from "./Result";
import styles from "./run.module.css";

interface Props extends Pick<ConversationProps, "task" | "run" | "runRef" | "actions" | "onReview"> {
  runs: readonly Run[];
  /** Go to the field in which a message continues the run. */
  onWrite: () => void;
  /** How many questions the permission mode has answered. */
  unasked: number;
}

export function End({ task, run, runs, runRef, actions, onWrite, onReview, unasked }: Props) {
  const [path] = useLocation();
  const [, setSearch] = useSearchParams();
  const state = facts.stateOf(run);
  const { left_out: leftOut, not_stored: notStored } = run.state;
  const { branch, pullRequest, files: named } = facts.outputOf(run);
  const { files } = facts.figuresOf(run);
  const [problem, ...printed] = run.error_message?.trim().split("\n") ?? [];
  const [isEditing, setEditing] = useState(false);
  const reason = facts.reasonOf(run) ?? problem;
  const next = nextOf(run);
  const { tally, unsent } = useOutcome(run, runRef);
  const isClaimed = run.verification?.verdict === "claimed";
  const checked = isClaimed ? "Nothing was checked" : run.verification && passedText(run.verification);
  const tone = (step: typeof next) => (step === next ? { tone: "primary" as const } : {});
  return (
    <section
      aria-label="The end of the run"
      className={classes("column tight card padded dim", styles.end, run.status === "failed" && "bad")}
    >
      <p className={classes("row wrap small", styles.facts)}>
        <StateBadge state={state} />
        <VerdictBadge of={run.verification} />
        {checked && <Link href={`${path}?pane=checks`}>{checked}</Link>}
        {unasked > 0 && <span>Questions answered without you: {unasked}</span>}
        {run.status === "cancelled" && run.completed_at && <Age at={run.completed_at} inSentence />}
      </p>
      {reason && <p className={classes("verbatim", state === "refuted" && "danger")}>{reason}</p>}
      <Waivers of={run.verification?.waivers ?? []} />
      {tally && <p>{tally}</p>}
      {printed.length > 0 && (
        <details open>
          <summary>What was printed last</summary>
          <Terminal text={printed.join("\n")} label="What was printed last" />
        </details>
      )}
      {!run.error_message && named === 0 && <p>No file was changed.</p>}
      {typeof leftOut === "string" && <p>Left out: {leftOut}</p>}
      {Array.isArray(notStored) && notStored.length > 0 && <p>Not stored: {notStored.join(", ")}</p>}
      {task.json_schema != null && run.output !== null && <Result value={run.output} />}
      {branch && (
        <div className="row tight">
          <icons.GitBranch size={13} /> <span>{branch}</span>
          <CopyButton text={branch} label="Copy the name of the branch" />
        </div>
      )}
      <TakeOver {...{ task, run, runs, runRef }} />
      <div className={classes("row wrap", styles.next)} role="group" aria-label="What next?">
        {next === "check" && (
          <Button {...tone("check")} onClick={() => setSearch({ pane: "checks" }, { replace: true })}>
            See the check
          </Button>
        )}
        {(hasWork(run) || unsent > 0) && (
          <ReviewButtons {...tone("changes")} {...{ run, runRef, files, unsent, onReview }} />
        )}
        {next === "task" && (
          <Button {...tone("task")} onClick={() => setEditing(true)}>
            Edit the task
          </Button>
        )}
        {pullRequest && (
          <a href={pullRequest} target="_blank" rel="noopener noreferrer nofollow">
            <icons.ExternalLink size={14} /> Open the pull request
          </a>
        )}
        {!facts.neverBegan(run) && (
          <Button {...tone("message")} onClick={onWrite} disabled={actions.isBusy}>
            <icons.MessageSquare size={14} /> Continue with a message
          </Button>
        )}
        <Button {...tone("again")} onClick={() => actions.askStart(true)} disabled={actions.isBusy}>
          <icons.RotateCcw size={14} /> Start over
        </Button>
        {!task.archived && (
          <Button onClick={() => actions.archive()}>
            <icons.Archive size={14} /> Archive it
          </Button>
        )}
      </div>
      {isEditing && <TaskDialog task={task} onClose={() => setEditing(false)} />}
    </section>
  );
}

interface TurnProps extends Pick<Props, "run" | "runRef" | "actions" | "onReview"> {
  files: number;
}

/** What can be done while the agent waits for a message: below it is the field for one. */
export function TurnEnd({ run, runRef, actions, files, onReview }: TurnProps) {
  const { tally, unsent } = useOutcome(run, runRef);
  const hasWork = files + unsent > 0;
  return (
    <section aria-label="The end of the turn" className={classes("column tight card padded dim", styles.end)}>
      {/* Why stands before it, as the agent said it, and at the top of the page. */}
      <p className={facts.isBad(run) ? "danger" : undefined}>
        {facts.isBad(run) ? "The agent's turn has failed." : facts.reasonOf(run)}
      </p>
      {tally && <p>{tally}</p>}
      <p className="small">
        {!hasWork && "No file has changed so far. "}
        Write what to do next, or finish: the work is then stored, and its checks run.
      </p>
      <div className={classes("row wrap", styles.next)} role="group" aria-label="What next?">
        {hasWork && <ReviewButtons tone="primary" {...{ run, runRef, files, unsent, onReview }} />}
        <Button onClick={actions.finish} disabled={actions.isBusy}>
          <icons.Check size={14} /> Finish the run
        </Button>
      </div>
    </section>
  );
}

type ReviewProps = Omit<TurnProps, "actions"> & Pick<ButtonProps, "tone"> & { unsent: number };

/** Each opens what it counts, whatever was compared before. */
function ReviewButtons({ run, runRef, files, unsent, onReview, ...look }: ReviewProps) {
  const whole = useWhole(run, runRef);
  return (
    <>
      <Button {...look} onClick={() => onReview("start")}>
        <icons.FileDiff size={14} /> Review {files === 0 ? "the changes" : countOf(files, "file")}
        {unsent > 0 && ` · ${countOf(unsent, "unsent comment")}`}
      </Button>
      {whole > 0 && <Button onClick={() => onReview("first")}>Whole branch: {countOf(whole, "file")}</Button>}
    </>
  );
}

/** A client that performs a run leaves a patch, and no figures. */
const hasWork = (run: Run) => facts.figuresOf(run).files > 0 || facts.patchOf(run) !== undefined;

/** What a person most likely does next. */
export function nextOf(run: Run) {
  if (facts.doubtIn(run.verification)) return "check";
  if (hasWork(run)) return "changes";
  if (run.status === "failed")
    return asObject(run.state.recovery).reason === "worker lost" ? "again" : "task";
  return facts.neverBegan(run) ? "again" : "message";
}

/** Who has accepted work that is not verified, and why. */
export const Waivers = ({ of: waivers }: { of: Verification["waivers"] }) =>
  waivers.map(({ user, at, reason }) => (
    <p key={at}>
      Waived by {user ? nameOf(user) : "a former member"} <Age at={at} inSentence />: {reason}
    </p>
  ));

/** What may stand in a command as it is. */
const PLAIN = /^\w[\w./-]*$/;

/** How the work gets to a clone of one's own, and why it is no pull request. */
function TakeOver({ task, run, runs, runRef }: Pick<Props, "task" | "run" | "runs" | "runRef">) {
  const { branch, pullRequest } = facts.outputOf(run);
  const isLatest = task.latest_run?.id === run.id;
  const before = branch || !isLatest ? "" : (facts.branchBefore(run, runs) ?? "");
  const named = branch || before;
  // Later runs may have added to the branch.
  const commit = run.verification?.commit ?? asText(asObject(run.output).head_sha);
  const target = isLatest ? named : PLAIN.test(commit) && `--detach ${commit}`;
  const patch = facts.patchOf(run);
  // A phone has no clone.
  const isDesk = useMedia("(min-width: 761px)");
  if (!patch && !(target && PLAIN.test(branch))) return null;
  return (
    <>
      {!pullRequest && (
        <p className="small">
          {whyNoPullRequest(task, run)}
          {before && ` ${visible(before)} stands as an earlier run has left it.`}
        </p>
      )}
      <details className="small" open={!pullRequest && isDesk}>
        <summary>Get the work into a clone of yours</summary>
        {PLAIN.test(named) && target && (
          <Command text={`git fetch origin ${named} && git switch ${target}`} />
        )}
        {patch && facts.earlierOf(run) && <p>Only this run: needs the branch as the run before left it.</p>}
        {patch && <Command text={`taskbeacon run apply ${run.id}`} />}
        {patch && (
          <a className="row inline tight line link" href={downloadPath(runRef, patch.storage_path)} download>
            <icons.Download size={14} /> Download the patch
          </a>
        )}
      </details>
    </>
  );
}

const Command = ({ text }: { text: string }) => (
  <div className="row tight">
    <code className="well">{text}</code>
    <CopyButton text={text} />
  </div>
);

export function whyNoPullRequest(task: Pick<Task, "repository">, run: Run): string {
  const { branch, noPullRequest } = facts.outputOf(run);
  if (noPullRequest) return noPullRequest;
  if (run.environment === "local") return "No pull request is known of: a client performed the run.";
  if (branch) return "No pull request was opened: the project has no access to the API of its code host.";
  if (run.status === "failed") return "No branch was pushed, since the run failed.";
  if (run.status === "cancelled") return "No branch was pushed, since the run was ended.";
  return task.repository ? "No branch was pushed." : "No branch was pushed: the task has no repository.";
}
