/** What can be done with the tasks that are selected. */
import { Archive, Play, Trash2, X } from "lucide-react";
import { startRun } from "../../api/tasks";
import type { Task } from "../../api/types";
import { classes } from "../../ui/classes";
import { Button, IconButton } from "../../ui/controls";
import { say } from "../../ui/feedback";
import { useKeys } from "../../ui/keys";
import { useAction } from "../../ui/unmeant";
import { liveRunOf, useBatch } from "../project/batch";
import { useProject } from "../project/project";
import { againOf, draftChoices, keepDraftChoices, requestOf } from "../project/RunChoices";
import styles from "./tasks.module.css";
import type { useSelection } from "./useSelection";

export function Selection({ of: selection }: { of: ReturnType<typeof useSelection> }) {
  const { project } = useProject();
  const batch = useBatch(selection.none);
  const { selected } = selection;
  /** Those that are selected, else the one that the keys are at. */
  const chosen = (): Task[] => (selected.length ? selected : selection.current());
  const run = useAction({
    mutationFn: async (tasks: Task[]) => {
      const idle = tasks.filter((task) => !liveRunOf(task));
      for (const { id, latest_run } of idle) {
        await startRun(project.id, id, latest_run ? againOf(latest_run) : requestOf(draftChoices(id)));
        keepDraftChoices(id, null);
      }
      return [idle.length, tasks.length - idle.length] as const;
    },
    onSuccess: ([started, live]) => {
      const runs = started === 1 ? "1 run is started." : `${started} runs are started.`;
      say(live ? `${runs} The others have a live run.` : runs);
      selection.none();
    },
    refreshes: [["tasks", project.id]],
  });
  const areArchived = selected.length > 0 && selected.every(({ archived }) => archived);
  const archive = () => {
    const tasks = chosen();
    batch.begin(tasks.every(({ archived }) => archived) ? "unarchive" : "archive", tasks);
  };
  const toggle = () => {
    for (const { id } of selection.current()) selection.toggle(id);
  };
  const remove = () => batch.begin("delete", chosen());
  useKeys({
    x: ["Select the task, or take it out", toggle],
    J: ["Select the next task, too", () => selection.move(1, true)],
    K: ["Select the task before, too", () => selection.move(-1, true)],
    "Mod+a": ["Select all tasks", selection.all],
    Escape: selection.none,
    e: ["Archive the selected tasks", archive],
    "#": ["Delete the selected tasks", remove],
    R: ["Run the selected tasks", () => run.mutate(chosen())],
  });
  return (
    <>
      {batch.dialog}
      {selected.length > 0 && (
        <section
          className={classes("row wrap card raised snug", styles.selection)}
          aria-label="Selected tasks"
          data-bar
        >
          <strong role="status">{selected.length} selected</strong>
          <Button disabled={run.isPending} onClick={() => run.mutate(selected)}>
            <Play size={14} className="at-desk" /> Run
          </Button>
          <Button disabled={batch.isBusy} onClick={archive}>
            <Archive size={14} className="at-desk" /> {areArchived ? "Take out" : "Archive"}
          </Button>
          <Button tone="danger" disabled={batch.isBusy} onClick={remove}>
            <Trash2 size={14} className="at-desk" /> Delete
          </Button>
          <IconButton label="Select none" onClick={selection.none} icon={X} />
        </section>
      )}
    </>
  );
}
