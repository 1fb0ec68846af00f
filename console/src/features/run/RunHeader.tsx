/** What the run is and where it stands, and what can be done with it as a whole. */
import * as icons from "lucide-react";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { type Run, waitingFor } from "../../api/types";
import type { Standing } from "../../transcript/items";
import { classes, scrolling } from "../../ui/classes";
import { Button, IconButton, Select } from "../../ui/controls";
import { Counts } from "../../ui/counts";
import { Dialog } from "../../ui/dialog";
import { PageHeading } from "../../ui/heading";
import { showPalette, useKeys } from "../../ui/keys";
import { useMedia } from "../../ui/media";
import { StateBadge, VerdictBadge } from "../../ui/status";
import { durationText, Since, wholeTime } from "../../ui/time";
import { SureButton } from "../../ui/unmeant";
import { useProject } from "../project/project";
import * as facts from "../project/runState";
import { useViewers, ViewerDots } from "../project/viewers";
import { TaskDialog } from "../tasks/TaskDialog";
import type { ConversationProps } from "./Conversation";
import styles from "./run.module.css";
import type { RunActions } from "./useRunActions";

const FACT = "row inline tight clip short";

interface Props extends Pick<ConversationProps, "task" | "runs" | "actions"> {
  run: Run | null;
  usage: Standing["usage"];
  figures?: { files: number; additions: number; deletions: number };
}

export function RunHeader({ task, run, runs, usage, figures, actions }: Props) {
  const { href } = useProject();
  const [, navigate] = useLocation();
  const viewers = useViewers();
  const state = facts.stateOf(run);
  const reason = facts.reasonOf(run);
  const { branch, pullRequest } = facts.outputOf(run);
  const [edits, setEdits] = useState<"title" | "text" | null>(null);
  const isPhone = useMedia("(max-width: 760px)");
  const scrolled = isPhone ? scrolling("About the run") : {};
  const canRepeat = run !== null && facts.isOver(run) && !actions.isBusy;
  const { isMuted, mute, archive, remove, askStart } = actions;
  const pushes = isMuted ? "Get pushes about this task again" : "Mute the pushes of this task";
  const archiving = task.archived ? "Take the task out of the archive" : "Archive the task";
  const commands = [
    { key: "M", title: pushes, icon: isMuted ? icons.BellOff : icons.Bell, act: mute },
    { key: "E", title: "Edit the task", icon: icons.Pencil, act: () => setEdits("text") },
    { key: "e", title: archiving, icon: icons.Archive, act: () => archive() },
    { key: "#", title: "Delete the task", icon: icons.Trash2, act: () => remove() },
  ];
  useKeys({
    ...Object.fromEntries(commands.map(({ key, title, act }) => [key, [title, act] as const])),
    F2: ["Rename the task", () => setEdits("title")],
    ...(canRepeat ? { R: ["Start over", () => askStart(true)] as const } : {}),
  });
  return (
    <header className={classes("fixed", styles.header)}>
      <div className="row spaced">
        <Link
          href={href("/")}
          className={classes("row inline dim on-phone", styles.back)}
          aria-label="Back to the tasks"
        >
          <icons.ArrowLeft size={18} />
        </Link>
        <PageHeading className={classes("clip title grow", styles.title)} title={facts.titleOf(task)}>
          {facts.titleOf(task)}
        </PageHeading>
        <div className={"row tight fixed"}>
          {run && !facts.isOver(run) && <EndButton run={run} actions={actions} />}
          {/* On a phone, the palette has these and more. */}
          <IconButton className="on-phone" label="More" onClick={showPalette} icon={icons.Ellipsis} />
          {commands.map(({ key, title, icon: Icon, act }) => (
            <IconButton key={key} className="at-desk" label={title} onClick={act} icon={Icon} />
          ))}
        </div>
      </div>
      {actions.dialog}
      {actions.isStartAsked && (
        <Dialog title="Start over?" onClose={() => askStart(false)}>
          <p>A new run begins without the work of this one, which stays as it is, with your comments.</p>
          <footer className="row wrap spaced">
            <Button data-autofocus onClick={() => askStart(false)}>
              Do not start over
            </Button>
            <Button tone="primary" onClick={actions.startOver}>
              Start over
            </Button>
          </footer>
        </Dialog>
      )}
      {edits && <TaskDialog task={task} begins={edits} onClose={() => setEdits(null)} />}
      <div className={classes("row small dim", isPhone ? "scrolled" : "wrap", styles.facts)} {...scrolled}>
        {/* On a phone the verdict has its room. */}
        {!(isPhone && state === "completed" && run?.verification) && <StateBadge state={state} />}
        {state !== "checking" && <VerdictBadge of={run?.verification} />}
        {task.archived && (
          <span className="row tight fixed strong">
            <icons.Archive size={13} /> Archived
          </span>
        )}
        <ViewerDots people={viewers?.get(task.id)} />
        {reason && (
          <span className={classes("clip", styles.reason, facts.isBad(run) && "danger")}>{reason}</span>
        )}
        <span>{task.slug}</span>
        {task.repository && <span>{task.repository}</span>}
        {branch && (
          <span className={FACT} title={branch}>
            <icons.GitBranch size={13} /> {branch}
          </span>
        )}
        {pullRequest && (
          <a className={FACT} href={pullRequest} target="_blank" rel="noopener noreferrer nofollow">
            Pull request <icons.ExternalLink size={13} />
          </a>
        )}
        {run && <span>{facts.agentOf(run)}</span>}
        {run && facts.earlierOf(run) && figures && figures.files > 0 && <span>this run</span>}
        {figures && figures.additions + figures.deletions > 0 && <Counts {...figures} />}
        {run && <Duration run={run} />}
        {run && <Spent run={run} usage={usage} />}
        {runs.count > 1 && run && (
          <Select
            aria-label="Run"
            quiet
            className={styles.runs}
            value={run.id}
            choices={[
              ...runs.results.map(({ id, verification }, index) => {
                const name = `${facts.runName(runs, id)}${index === 0 ? " (latest)" : ""}`;
                const verdict = id !== run.id && verification?.verdict;
                return [id, [name, verdict].filter(Boolean).join(", ")] as const;
              }),
              ...(facts.runName(runs, run.id) === null ? [[run.id, "An earlier run"] as const] : []),
            ]}
            onChoose={(id) => navigate(href(`/tasks/${task.id}/runs/${id}`))}
          />
        )}
      </div>
    </header>
  );
}

/** Ends the run: as completed while its agent waits for a message, else as cancelled. */
function EndButton({ run, actions }: { run: Run; actions: RunActions }) {
  const { isBusy, isFinishing } = actions;
  // While the work is stored nothing waits any more: a second click must not cancel what was finished.
  if (isFinishing || waitingFor(run)?.kind === "message") {
    return (
      <Button title="Finish the conversation" onClick={actions.finish} disabled={isBusy || isFinishing}>
        <icons.Check size={14} className="at-desk" /> Finish
      </Button>
    );
  }
  return (
    <SureButton
      tone="danger"
      sureLabel={`Really end it${actions.late ? `: ${actions.late}` : ", keep changes"}`}
      onSure={actions.cancel}
      disabled={isBusy}
    >
      <icons.Square size={13} className="at-desk" /> End run
    </SureButton>
  );
}

function Duration({ run }: { run: Run }) {
  const begin = typeof run.state.agent_started_at === "string" ? run.state.agent_started_at : run.created_at;
  if (!run.completed_at) return <Since at={begin}>started</Since>;
  const text = durationText(Date.parse(run.completed_at) - Date.parse(begin));
  return <span title={`Ended ${wholeTime(run.completed_at)}`}>took {text}</span>;
}

const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });

function Spent({ run, usage }: { run: Run; usage: Standing["usage"] }) {
  const spent = facts.usageOf(run);
  const percent = usage?.size ? Math.round((usage.used / usage.size) * 100) : null;
  if (!spent && percent === null) return null;
  const cost = spent?.cost ?? usage?.cost ?? null;
  const parts = [
    spent &&
      `${compact.format(spent.tokens)}${spent.budget ? ` of ${compact.format(spent.budget)}` : ""} tokens`,
    cost !== null && `$${cost.toFixed(2)}`,
    percent !== null && `context ${percent}%`,
  ];
  return <span className="clip">{parts.filter(Boolean).join(" · ")}</span>;
}
