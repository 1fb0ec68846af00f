import { Play } from "lucide-react";
import { useState } from "react";
import type { Task } from "../../api/types";
import { classes } from "../../ui/classes";
import { Button } from "../../ui/controls";
import { Empty } from "../../ui/feedback";
import { TaskDialog } from "../tasks/TaskDialog";
import { RunHeader } from "./RunHeader";
import styles from "./run.module.css";
import { UserMessage } from "./TranscriptRow";
import { useRunActions } from "./useRunActions";

/** A task without a run. */
export function DraftView({ task }: { task: Task }) {
  const text = task.description;
  const [isStarting, setStarting] = useState(false);
  const actions = useRunActions(task, null);
  return (
    <main className="fill">
      <RunHeader task={task} run={null} runs={{ count: 0, results: [] }} usage={null} actions={actions} />
      <div className={classes("scrolls", styles.draft)}>
        {text && <UserMessage item={{ kind: "user", id: "task", at: "", text, files: [], receipt: null }} />}
        <Empty icon={Play} title="No run yet">
          <p>A run is one attempt of an agent at this task.</p>
          <Button tone="primary" onClick={() => setStarting(true)}>
            Start a run …
          </Button>
        </Empty>
      </div>
      {isStarting && <TaskDialog task={task} onClose={() => setStarting(false)} />}
    </main>
  );
}
