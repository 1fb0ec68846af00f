/** Archives and deletes tasks, one or many, and asks first where that ends something. */
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { ApiError, isTransient } from "../../api/errors";
import { type BatchAction, cancelRun, changeTasks } from "../../api/tasks";
import { type InboxRow, type Run, type Task, waitingFor } from "../../api/types";
import { Button } from "../../ui/controls";
import { countOf } from "../../ui/counts";
import { Dialog } from "../../ui/dialog";
import { say } from "../../ui/feedback";
import { useAction } from "../../ui/unmeant";
import { unsentOf } from "./drafts";
import { needsText, runHref, useNeeds } from "./inbox";
import { useProject } from "./project";
import { isOver, titleOf } from "./runState";

interface Batch {
  action: BatchAction;
  tasks: readonly Task[];
  /** What a person has written and not sent, in words. */
  leftOut?: string;
}

const DONE = { archive: "Archived", unarchive: "Taken out of the archive", delete: "Deleted" };
const WORDS = { archive: "Archive", unarchive: "Take out", delete: "Delete" };

export const liveRunOf = ({ latest_run: run }: Task): Run | null => (run && !isOver(run) ? run : null);

/** What asks the person: a run that is over does, too, when checks do not prove its work. */
const openOf = ({ id }: Task, needs: readonly InboxRow[]) => needs.filter(({ task }) => task.id === id);

/** `onDone` hears of what has changed. */
export function useBatch(onDone: (action: BatchAction) => void = () => {}) {
  const { project } = useProject();
  const queries = useQueryClient();
  const needs = useNeeds()?.results ?? [];
  const [asked, setAsked] = useState<Batch | null>(null);
  const perform = useAction({
    mutationFn: async ({ action, tasks, ends }: Batch & { ends: boolean }) => {
      for (const task of ends ? tasks : []) {
        const run = liveRunOf(task);
        if (!run) continue;
        await cancelRun(project.id, task.id, run.id).catch((error) => {
          // It has ended by itself meanwhile.
          if (isTransient(error) || !(error instanceof ApiError)) throw error;
        });
      }
      const ids = tasks.map(({ id }) => id);
      return changeTasks(project.id, action, ids);
    },
    onSuccess: (ids, { action, tasks }) => {
      const changed = tasks.filter(({ id }) => ids.has(id));
      const undo = () => perform.mutate({ action: "unarchive", tasks: changed, ends: false });
      const what = tasks.length === 1 ? "" : ` ${countOf(changed.length, "task")}`;
      say(`${DONE[action]}${what && ":"}${what}.`, "info", action === "archive" ? undo : undefined);
      if (action !== "delete")
        for (const { id } of changed) void queries.invalidateQueries({ queryKey: ["task", id] });
      onDone(action);
    },
    refreshes: [["tasks", project.id]],
  });
  /** `known` is what was written and not sent, in words; absent: that is asked for. */
  const begin = async (action: BatchAction, tasks: readonly Task[], known?: string) => {
    if (tasks.length === 0) return;
    const leftOut = known ?? (action === "unarchive" ? "" : await unsentOf(project.id, tasks));
    const waits = leftOut || tasks.some((task) => liveRunOf(task) || openOf(task, needs)[0]);
    if (action === "delete" || (action === "archive" && waits)) setAsked({ action, tasks, leftOut });
    else perform.mutate({ action, tasks, ends: false });
  };
  const answer = (ends: boolean | null) => {
    setAsked(null);
    if (asked && ends !== null) perform.mutate({ ...asked, ends });
  };
  const dialog = asked && <Question batch={asked} needs={needs} onAnswer={answer} />;
  return { begin, isBusy: perform.isPending, dialog };
}

interface QuestionProps {
  batch: Batch;
  needs: readonly InboxRow[];
  onAnswer: (ends: boolean | null) => void;
}

export function Question({ batch, needs, onAnswer }: QuestionProps) {
  const { action, tasks, leftOut } = batch;
  const word = WORDS[action];
  const live = tasks.flatMap((task) => liveRunOf(task) ?? []);
  // What a single live run asks is said with it.
  const open = tasks.flatMap((task) => (live.length === 1 && liveRunOf(task) ? [] : openOf(task, needs)));
  const open_count = open.filter(({ kind }) => kind !== "message").length;
  const runs = live.length === 1 ? "the run" : "the runs";
  return (
    <Dialog
      title={`${word} ${tasks.length === 1 ? "this task" : countOf(tasks.length, "task")}?`}
      onClose={() => onAnswer(null)}
    >
      {action === "delete" && (
        <p>
          Deleted for everyone, with runs, conversation and changes that are not pushed. It cannot be undone;
          an archived task can come back.
        </p>
      )}
      {leftOut && <p className="attention">{leftOut}</p>}
      {live[0] && <p>{live.length === 1 ? liveText(live[0]) : `${live.length} of them have a live run.`}</p>}
      {open[0] && (
        <p>
          {open.length === 1
            ? `${titleOf(open[0].task)} waits for your answer: “${open[0].title}”.`
            : `Open: ${needsText({ count: open.length, open_count, results: open })}.`}
          {action === "archive" &&
            open.some(({ kind }) => kind === "verdict") &&
            " An archived task asks for no verdict again."}{" "}
          <Link href={runHref(open[0])} onClick={() => onAnswer(null)}>
            Show {open.length === 1 ? "the question" : "the first"}
          </Link>
        </p>
      )}
      <footer className="row wrap spaced">
        <Button data-autofocus onClick={() => onAnswer(null)}>
          Do not {word.toLowerCase()}
        </Button>
        <Button tone="danger" onClick={() => onAnswer(true)}>
          {live.length ? `End ${runs} and ${word.toLowerCase()}` : word}
        </Button>
        {action === "archive" && live.length > 0 && (
          <Button onClick={() => onAnswer(false)}>
            Archive, and let {live.length === 1 ? "it" : "them"} go on
          </Button>
        )}
      </footer>
    </Dialog>
  );
}

function liveText(run: Run): string {
  if (run.status !== "in_progress") return "Its run waits for a worker. It would still start.";
  const waits = waitingFor(run);
  if (!waits) return "Its run is at work. It would go on, and keep its worker until it ends.";
  const asks = `asks “${waits.tool_call?.title ?? "May it go on?"}”`;
  return `Its agent ${waits.kind === "message" ? "waits for a message" : asks}. That would stay in your inbox, and the run would keep its worker while it waits.`;
}
