/** How a run ended: what it has left, and what can be done next. */
import { Archive, Download, ExternalLink, FileDiff, GitBranch, MessageSquare, RotateCcw } from "lucide-react";
import { useState } from "react";
import { Link, useSearchParams } from "wouter";
import { downloadPath, type RunRef } from "../../api/commands";
import type { Run, Task } from "../../api/types";
import { safeLink } from "../../text/links";
import { visible } from "../../text/marks";
import { classes } from "../../ui/classes";
import { Button } from "../../ui/controls";
import { CopyButton } from "../../ui/copy";
import { Counts } from "../../ui/counts";
import { StateBadge, VerdictBadge } from "../../ui/status";
import { Terminal } from "../../ui/terminal";
import { Age } from "../../ui/time";
import { SureButton } from "../../ui/unmeant";
import {
  branchBefore,
  figuresOf,
  neverBegan,
  outputOf,
  patchOf,
  reasonOf,
  stateOf,
} from "../project/runState";
import { TaskDialog } from "../tasks/TaskDialog";
import styles from "./run.module.css";
import type { RunActions } from "./useRunActions";

interface Props {
  task: Task;
  run: Run;
  runs: readonly Run[];
  runRef: RunRef;
  actions: RunActions;
  /** Go to the field in which a message continues the run. */
  onWrite: () => void;
  /** How many questions the permission mode has answered. */
  unasked: number;
}

export function End({ task, run, runs, runRef, actions, onWrite, unasked }: Props) {
  const [, setSearch] = useSearchParams();
  const state = stateOf(run);
  const { left_out: leftOut, not_stored: notStored } = run.state;
  const { head_branch: branch, files_changed: changed, pr_url } = outputOf(run);
  const { files, additions, deletions } = figuresOf(run);
  const [problem, ...output] = run.error_message?.trim().split("\n") ?? [];
  const pullRequest = pr_url ? safeLink(pr_url) : "";
  const patch = patchOf(run);
  const [isEditing, setEditing] = useState(false);
  const reason = state === "refuted" && reasonOf(run);
  const show = (pane: string) => setSearch({ pane }, { replace: true });
  return (
    <section
      aria-label="The end of the run"
      className={classes("column tight card dim", styles.end, run.status === "failed" && "bad")}
    >
      <p className={classes("row wrap small", styles.facts)}>
        {state !== "refuted" && <StateBadge state={state} />}
        <VerdictBadge of={run.verification} />
        {run.verification?.verdict === "claimed" && <Link href="?pane=checks">Nothing was checked</Link>}
        {unasked > 0 && <span>Questions answered without you: {unasked}</span>}
        {run.status === "cancelled" && run.completed_at && <Age at={run.completed_at} inSentence />}
        {files > 0 && <span>{files === 1 ? "1 file" : `${files} files`}</span>}
        {additions + deletions > 0 && <Counts additions={additions} deletions={deletions} />}
      </p>
      {reason && <p className="danger">{reason}</p>}
      {problem && <p>{problem}</p>}
      {output.length > 0 && (
        <details open>
          <summary>What was printed last</summary>
          <Terminal text={output.join("\n")} label="What was printed last" />
        </details>
      )}
      {!run.error_message && changed?.length === 0 && <p>No file was changed.</p>}
      {typeof leftOut === "string" && <p>Left out: {leftOut}</p>}
      {Array.isArray(notStored) && notStored.length > 0 && <p>Not stored: {notStored.join(", ")}</p>}
      {branch && (
        <div className="row tight">
          <GitBranch size={13} /> <span className={styles.branch}>{branch}</span>
          <CopyButton text={branch} label="Copy the name of the branch" />
        </div>
      )}
      {!pullRequest && <TakeOver {...{ run, runs }} branch={branch ?? undefined} />}
      <div className={classes("row wrap", styles.next)} role="group" aria-label="What next?">
        {state === "refuted" && (
          <Button tone="primary" onClick={() => show("checks")}>
            See the check
          </Button>
        )}
        {files > 0 && (
          <Button
            {...(state === "refuted" ? {} : { tone: "primary" as const })}
            onClick={() => show("changes")}
          >
            <FileDiff size={14} /> Review the changes
          </Button>
        )}
        {files === 0 && run.status === "failed" && (
          <Button tone="primary" onClick={() => setEditing(true)}>
            Edit the task
          </Button>
        )}
        {pullRequest && (
          <a href={pullRequest} target="_blank" rel="noopener noreferrer nofollow">
            <ExternalLink size={14} /> Open the pull request
          </a>
        )}
        {!neverBegan(run) && (
          <Button onClick={onWrite} disabled={actions.isBusy}>
            <MessageSquare size={14} /> Write to the agent
          </Button>
        )}
        {/* Asked, it is no wider: what moves takes a second tap, and the focus. */}
        <SureButton sureLabel="Really?" onSure={actions.retry} disabled={actions.isBusy}>
          <RotateCcw size={14} /> Start over
        </SureButton>
        {patch && (
          <a href={downloadPath(runRef, patch.storage_path)} download>
            <Download size={14} /> Download the patch
          </a>
        )}
        {!task.archived && (
          <Button onClick={actions.archive}>
            <Archive size={14} /> Archive it
          </Button>
        )}
      </div>
      {isEditing && <TaskDialog task={task} onClose={() => setEditing(false)} />}
    </section>
  );
}

/** What may stand in a command as it is. */
const PLAIN = /^\w[\w./-]*$/;

/** How the work gets to a clone of one's own, and why it is no pull request. */
function TakeOver({ run, runs, branch }: Pick<Props, "run" | "runs"> & { branch: string | undefined }) {
  const before = branch ? null : branchBefore(run, runs);
  const ended = { failed: ", since the run failed", cancelled: ", since the run was ended" };
  const why = branch
    ? "No pull request was opened"
    : `No branch was pushed${ended[run.status as keyof typeof ended] ?? ""}`;
  const command = branch
    ? `git fetch origin ${branch} && git switch ${branch}`
    : `taskbeacon run apply ${run.id}`;
  if (branch ? !PLAIN.test(branch) : !patchOf(run)) return null;
  return (
    <>
      <p className="small">
        {why}
        {before && `; ${visible(before)} stands as an earlier run has left it`}. To get the work into a clone
        of yours:
      </p>
      <div className="row tight">
        <code className={classes("well small", styles.command)}>{command}</code>
        <CopyButton text={command} label="Copy the command" />
      </div>
    </>
  );
}
