import { GitPullRequest } from "lucide-react";
import { memo } from "react";
import { Link } from "wouter";
import type { Task, UserBasic } from "../../api/types";
import { classes } from "../../ui/classes";
import { StateBadge, StateIcon, VerdictBadge } from "../../ui/status";
import { Age } from "../../ui/time";
import { RunFigures } from "../project/RunFigures";
import * as facts from "../project/runState";
import { ViewerDots } from "../project/viewers";
import styles from "./tasks.module.css";

interface Props {
  task: Task;
  href: string;
  isUnseen: boolean;
  viewers: UserBasic[] | undefined;
  isSelected: boolean;
  onToggle: (id: string, isRange: boolean) => void;
}

export const TaskRow = memo(function TaskRow(props: Props) {
  const { task, href, isUnseen, viewers, isSelected, onToggle } = props;
  const run = task.latest_run;
  const state = facts.stateOf(run);
  const reason = facts.reasonOf(run);
  const Title = isUnseen ? "b" : "span";
  return (
    <li className={classes("anchor", styles.item)} data-selected={isSelected || undefined}>
      <input
        type="checkbox"
        aria-label={`Select ${task.slug} ${facts.titleOf(task)}`}
        checked={isSelected}
        onClick={(event) => onToggle(task.id, event.shiftKey)}
        readOnly
      />
      <Link
        href={href}
        className={classes("row spaced", styles.row)}
        data-task={task.id}
        // The router leaves such clicks to the browser, which would open a window.
        onClickCapture={(event) => {
          if (!event.shiftKey) return;
          event.preventDefault();
          onToggle(task.id, true);
        }}
      >
        <StateIcon state={state} />
        <span className={classes("column grow", styles.main)}>
          <Title className={classes("clip title", !isUnseen && "strong")} title={facts.titleOf(task)}>
            {facts.titleOf(task)}
            {isUnseen && <span className="visually-hidden"> (not seen)</span>}
          </Title>
          <span className={classes("row small dim figures", styles.about)}>
            <span className={classes("faint fixed", styles.slug)}>{task.slug}</span>
            {/* Most runs are completed: the icon says it. */}
            {state !== "completed" && <StateBadge state={state} />}
            {state !== "checking" && <VerdictBadge of={run?.verification} />}
            {reason && (
              <span className={classes("clip", styles.reason, facts.isBad(run) && "danger")} title={reason}>
                {reason}
              </span>
            )}
            {task.repository && (
              <span className={classes("clip faint fixed short", styles.repository)}>{task.repository}</span>
            )}
          </span>
        </span>
        <ViewerDots people={viewers} />
        <span className={classes("row last fixed small faint figures", styles.facts)}>
          {facts.outputOf(run).pullRequest && (
            <span className="row tight">
              <GitPullRequest size={14} /> PR
            </span>
          )}
          {run && <RunFigures run={run} />}
          <Age at={task.last_activity_at} />
        </span>
      </Link>
    </li>
  );
});
