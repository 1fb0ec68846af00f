/** How a run ended: what it has left, and what can be done next. */
import { ExternalLink, FileDiff, GitBranch, RotateCcw } from "lucide-react";
import { useSearchParams } from "wouter";
import type { Run } from "../../api/types";
import { safeLink } from "../../text/links";
import { classes } from "../../ui/classes";
import { Button } from "../../ui/controls";
import { Counts } from "../../ui/counts";
import { StateBadge, VerdictBadge } from "../../ui/status";
import { Terminal } from "../../ui/terminal";
import { figuresOf, outputOf, stateOf } from "../project/runState";
import styles from "./run.module.css";
import type { RunActions } from "./useRunActions";

export function End({ run, actions }: { run: Run; actions: RunActions }) {
  const [, setSearch] = useSearchParams();
  const state = stateOf(run);
  const { left_out: leftOut, not_stored: notStored } = run.state;
  const { head_branch: branch, files_changed: changed, pr_url } = outputOf(run);
  const { files, additions, deletions } = figuresOf(run);
  const [problem, ...output] = run.error_message?.trim().split("\n") ?? [];
  const pullRequest = pr_url ? safeLink(pr_url) : "";
  return (
    <div className={classes("column tight card dim", styles.end, run.status === "failed" && "bad")}>
      <p className={classes("row wrap small", styles.facts)}>
        {state !== "refuted" && <StateBadge state={state} />}
        <VerdictBadge of={run.verification} />
        {branch && (
          <span className="row inline tight clip">
            <GitBranch size={13} /> <span className="clip">{branch}</span>
          </span>
        )}
        {files > 0 && <span>{files === 1 ? "1 file" : `${files} files`}</span>}
        {additions + deletions > 0 && <Counts additions={additions} deletions={deletions} />}
      </p>
      {problem && <p>{problem}</p>}
      {output.length > 0 && (
        <details>
          <summary>What was printed last</summary>
          <Terminal text={output.join("\n")} label="What was printed last" />
        </details>
      )}
      {!run.error_message && changed?.length === 0 && <p>No file was changed.</p>}
      {typeof leftOut === "string" && <p>Left out: {leftOut}</p>}
      {Array.isArray(notStored) && notStored.length > 0 && <p>Not stored: {notStored.join(", ")}</p>}
      <p className="row wrap">
        {files > 0 && (
          <Button onClick={() => setSearch({ pane: "changes" }, { replace: true })}>
            <FileDiff size={14} /> Review the changes
          </Button>
        )}
        {pullRequest && (
          <a href={pullRequest} target="_blank" rel="noopener noreferrer nofollow">
            <ExternalLink size={14} /> Open the pull request
          </a>
        )}
        {run.status !== "completed" && (
          <Button onClick={actions.retry} disabled={actions.isBusy}>
            <RotateCcw size={14} /> Run it again
          </Button>
        )}
        <span>A message below continues from here.</span>
      </p>
    </div>
  );
}
