import { FileDiff, GitPullRequest } from "lucide-react";
import { memo } from "react";
import { Link } from "wouter";
import type { Run, Task, UserBasic } from "../../api/types";
import { classes } from "../../ui/classes";
import { StateIcon, stateWord, VerdictBadge } from "../../ui/status";
import { Age } from "../../ui/time";
import { outputOf, reasonOf, stateOf, titleOf, usageOf } from "../project/runState";
import { ViewerDots } from "../project/viewers";
import styles from "./tasks.module.css";

interface Props {
  task: Task;
  href: string;
  isUnseen: boolean;
  viewers: UserBasic[] | undefined;
}

export const TaskRow = memo(function TaskRow({ task, href, isUnseen, viewers }: Props) {
  const run = task.latest_run as Run | null;
  const state = stateOf(run);
  const reason = reasonOf(run);
  const output = outputOf(run);
  const files = output.files_changed?.length ?? 0;
  const cost = run && usageOf(run)?.cost;
  const needsPerson = state === "question" || state === "message";
  return (
    <li>
      <Link href={href} className={styles.row} data-task={task.id}>
        <StateIcon state={state} />
        <span className={styles.main}>
          <span className={classes(styles.title, isUnseen && styles.unseen)}>{titleOf(task)}</span>
          <span className={styles.about}>
            <span className={needsPerson ? styles.needs : undefined}>{stateWord(state)}</span>
            {state !== "checking" && <VerdictBadge of={run?.verification} />}
            {reason && <span className={styles.reason}>{reason}</span>}
          </span>
        </span>
        <ViewerDots people={viewers} />
        <span className={styles.facts}>
          {output.pr_url && (
            <span className={styles.fact}>
              <GitPullRequest size={14} aria-hidden="true" /> PR
            </span>
          )}
          {files > 0 && (
            <span className={styles.fact}>
              <FileDiff size={14} aria-hidden="true" /> {files === 1 ? "1 file" : `${files} files`}
            </span>
          )}
          {cost != null && <span className={styles.fact}>${cost.toFixed(2)}</span>}
          {task.repository && <span className={styles.repository}>{task.repository}</span>}
          <span className={styles.slug}>{task.slug}</span>
          <span className={styles.age}>
            <Age at={task.last_activity_at} />
          </span>
        </span>
      </Link>
    </li>
  );
});
