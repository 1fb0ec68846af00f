import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useLocation } from "wouter";
import { changeMute, fetchMute } from "../../api/attention";
import { closeConversation } from "../../api/commands";
import { cancelRun, startRun } from "../../api/tasks";
import type { Run, RunRequest, Task } from "../../api/types";
import { expectPage } from "../../ui/arrival";
import { say, sayError } from "../../ui/feedback";
import { useAction } from "../../ui/unmeant";
import { useBatch } from "../project/batch";
import { nameOf, useProject } from "../project/project";
import { againOf } from "../project/RunChoices";
import { isOver, tipOf } from "../project/runState";
import { rememberStart } from "./useDraft";

interface Outcome {
  onStarted?: ((run: string) => void) | undefined;
  onFailed?: () => void;
}

export function useRunActions(task: Task, run: Run | null, runs: readonly Run[] = []) {
  const { project, session, href } = useProject();
  const [, navigate] = useLocation();
  const queries = useQueryClient();
  const id = task.id;
  // An earlier run may be live, too.
  const shown = { ...task, latest_run: run && !isOver(run) ? run : task.latest_run };
  const batch = useBatch((action) => action === "delete" && navigate(href("/")));
  const muteKey = ["mute", id];
  const muted = useQuery({ queryKey: muteKey, queryFn: () => fetchMute(project.id, id) });
  const isMuted = muted.data?.muted ?? false;
  const refreshes = [
    ["task", id],
    ["tasks", project.id],
  ];
  const start = useAction({
    mutationFn: ({ body }: Outcome & { body: RunRequest }) => startRun(project.id, id, body),
    onSuccess: (started, { onStarted }) => {
      if (started.latest_run) {
        onStarted?.(started.latest_run.id);
        rememberStart(started.latest_run.id, run?.id ?? null);
      }
      queries.setQueryData(["task", id], started);
      expectPage();
      navigate(href(`/tasks/${id}`));
    },
    refreshes,
    onError: (error, { onFailed }) => {
      sayError(error);
      onFailed?.();
    },
  });
  const [isStartAsked, askStart] = useState(false);
  const why = `${nameOf(session.user)} ended it in the console.`;
  const cancel = useAction({ mutationFn: () => cancelRun(project.id, id, run?.id ?? "", why), refreshes });
  const finish = useAction({
    mutationFn: () => closeConversation({ project: project.id, task: id, run: run?.id ?? "" }),
  });
  const mute = useAction({
    mutationFn: (muted: boolean) => changeMute(project.id, id, muted),
    onSuccess: (_, muted) => {
      queries.setQueryData(muteKey, { muted });
      say(muted ? "You get no pushes about this task." : "You get pushes about this task again.");
    },
    // An answer on its way may be older than the change.
    refreshes: [muteKey],
  });
  return {
    isBusy: start.isPending || cancel.isPending,
    cancel: () => cancel.mutate(),
    /** What the agent has not read, in words. */
    late: "",
    /** Close the conversation of a run whose agent waits for a message: the run is then completed. */
    finish: () => finish.mutate(),
    /** Whether the conversation was closed here: the run ends as soon as its work is stored. */
    isFinishing: finish.isPending || finish.isSuccess,
    /** Whether a dialog asks if the run is started over. */
    isStartAsked,
    askStart,
    startOver: () => {
      askStart(false);
      if (run) start.mutate({ body: againOf(run) });
    },
    /** Archive the task, or take it out of the archive. `leftOut` says what of it would be lost. */
    archive: (leftOut = "") => batch.begin(task.archived ? "unarchive" : "archive", [shown], leftOut),
    remove: (leftOut = "") => batch.begin("delete", [shown], leftOut),
    /** What is asked before the task is archived or deleted. */
    dialog: batch.dialog,
    isMuted,
    mute: () => mute.mutate(!isMuted),
    /** Go on from the run on the page, and what its branch has now, with a message, as a new run. */
    resume: (message: string, artifactIds: string[], outcome: Outcome) => {
      const body: RunRequest = {
        ...(run ? { ...againOf(run), resume_from_run_id: tipOf(run, runs).id } : {}),
        ...(message ? { pending_user_message: message } : {}),
        ...(artifactIds.length ? { pending_user_artifact_ids: artifactIds } : {}),
      };
      start.mutate({ body, ...outcome });
    },
  };
}

export type RunActions = ReturnType<typeof useRunActions>;
