import { Play } from "lucide-react";
import { stagedFiles } from "../../api/tasks";
import type { Task } from "../../api/types";
import { Button } from "../../ui/controls";
import { Empty } from "../../ui/feedback";
import { AttachButton, AttachmentList, useAttachments } from "../attachments/attachments";
import { useProject } from "../project/project";
import {
  areWhole,
  BlockedAgents,
  draftFiles,
  RunChoices,
  requestOf,
  useDraftChoices,
} from "../project/RunChoices";
import { RunHeader } from "./RunHeader";
import styles from "./run.module.css";
import { TaskText } from "./TaskText";
import { useRunActions } from "./useRunActions";

/** A task without a run: with what its first one starts. */
export function DraftView({ task }: { task: Task }) {
  const { project } = useProject();
  const [choices, choose] = useDraftChoices(task.id);
  const files = useAttachments(localStorage, draftFiles(task.id), stagedFiles(project.id, task.id));
  const ids = files.list.flatMap(({ id }) => id ?? []);
  const first = { ...requestOf(choices), ...(ids.length ? { pending_user_artifact_ids: ids } : {}) };
  const actions = useRunActions(task, null, first, files.clear);
  return (
    <main className="fill">
      <RunHeader task={task} run={null} runs={{ count: 0, results: [] }} usage={null} actions={actions} />
      <div className={styles.draft}>
        <TaskText text={task.description} files={[]} />
        <Empty icon={Play} title="No run yet">
          <p>A run is one attempt of an agent at this task.</p>
          <RunChoices choices={choices} onChange={choose} />
          <AttachmentList {...files} />
          {files.list.length > 0 && <p>The files are kept for a day, and shown in this browser only.</p>}
          <p className="row">
            <AttachButton onAdd={files.add} />
            <Button
              tone="primary"
              onClick={actions.retry}
              disabled={actions.isBusy || !areWhole(choices) || !files.isReady}
            >
              Start a run
            </Button>
          </p>
          <BlockedAgents />
        </Empty>
      </div>
    </main>
  );
}
