import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useLocation } from "wouter";
import { changeMute, fetchMute } from "../../api/attention";
import { closeConversation } from "../../api/commands";
import { cancelRun, type RunRequest, startRun, updateTask } from "../../api/tasks";
import type { Run, Task } from "../../api/types";
import { expectPage } from "../../ui/arrival";
import { say, sayError } from "../../ui/feedback";
import { useAction } from "../../ui/unmeant";
import { useProject } from "../project/project";
import { isOver } from "../project/runState";
import { rememberStart } from "./useDraft";

interface Outcome {
  onStarted?: (() => void) | undefined;
  onFailed?: () => void;
}

export interface RunActions {
  isBusy: boolean;
  cancel: () => void;
  /** Close the conversation of a run whose agent waits for a message: the run is then completed. */
  finish: () => void;
  /** Whether the conversation was closed here: the run ends as soon as its work is stored. */
  isFinishing: boolean;
  retry: () => void;
  /** Archive the task, or take it out of the archive; with a live run it is asked for first. */
  archive: () => void;
  /** The live run because of which the archive is asked for. */
  archiving: Run | null;
  /** Answers that: whether the run ends, too; null: the task is not archived. */
  confirmArchive: (endsRun: boolean | null) => void;
  isMuted: boolean;
  mute: () => void;
  /** Resume the run on the page with a message, as a new run. */
  resume: (message: string, artifactIds: string[], outcome: Outcome) => void;
}

interface Start extends Outcome {
  body: RunRequest;
}

/** The options of a run that another one of the same kind gets too. */
function optionsOf(run: Run): RunRequest {
  return {
    mode: run.state.mode === "interactive" ? "interactive" : "background",
    ...(run.branch ? { branch: run.branch } : {}),
    ...(run.runtime_adapter && run.model ? { runtime_adapter: run.runtime_adapter, model: run.model } : {}),
  };
}

/** `first` are the options of the first run, while there is none; `onFirst` is called when it has started. */
export function useRunActions(
  task: Task,
  run: Run | null,
  first: RunRequest = {},
  onFirst?: () => void,
): RunActions {
  const { project, href } = useProject();
  const [, navigate] = useLocation();
  const queries = useQueryClient();
  const id = task.id;
  const [isArchiving, setArchiving] = useState(false);
  const live = [run, task.latest_run as Run | null].find((one) => one && !isOver(one)) ?? null;
  const muteKey = ["mute", id];
  const muted = useQuery({ queryKey: muteKey, queryFn: () => fetchMute(project.id, id) });
  const isMuted = muted.data?.muted ?? false;
  const refresh = () => {
    void queries.invalidateQueries({ queryKey: ["task", id] });
    void queries.invalidateQueries({ queryKey: ["tasks", project.id] });
  };
  const start = useAction({
    mutationFn: ({ body }: Start) => startRun(project.id, id, body),
    onSuccess: (started, { onStarted }) => {
      onStarted?.();
      if (started.latest_run) rememberStart(started.latest_run.id, run?.id ?? null);
      queries.setQueryData(["task", id], started);
      refresh();
      expectPage();
      navigate(href(`/tasks/${id}`));
    },
    onError: (error, { onFailed }) => {
      sayError(error);
      onFailed?.();
    },
  });
  const cancel = useAction({
    mutationFn: () => cancelRun(project.id, id, run?.id ?? ""),
    onSuccess: refresh,
  });
  const finish = useAction({
    mutationFn: () => closeConversation({ project: project.id, task: id, run: run?.id ?? "" }),
  });
  const archive = useAction({
    mutationFn: async ({ archived, ends }: { archived: boolean; ends?: Run | null }) => {
      if (ends) await cancelRun(project.id, id, ends.id);
      return updateTask(project.id, id, { archived });
    },
    onSuccess: (changed) => {
      if (changed.archived) say("Archived.", "info", () => archive.mutate({ archived: false }));
      else say("Taken out of the archive.");
      refresh();
    },
  });
  const mute = useAction({
    mutationFn: (muted: boolean) => changeMute(project.id, id, muted),
    onSuccess: (_, muted) => {
      queries.setQueryData(muteKey, { muted });
      say(muted ? "You get no pushes about this task." : "You get pushes about this task again.");
    },
  });
  return {
    isBusy: start.isPending || cancel.isPending,
    cancel: () => cancel.mutate(),
    finish: () => finish.mutate(),
    isFinishing: finish.isPending || finish.isSuccess,
    retry: () => start.mutate(run ? { body: optionsOf(run) } : { body: first, onStarted: onFirst }),
    archive: () => {
      if (live && !task.archived) setArchiving(true);
      else archive.mutate({ archived: !task.archived });
    },
    archiving: isArchiving ? live : null,
    confirmArchive: (endsRun) => {
      setArchiving(false);
      if (endsRun !== null) archive.mutate({ archived: true, ends: endsRun ? live : null });
    },
    isMuted,
    mute: () => mute.mutate(!isMuted),
    resume: (message, artifactIds, outcome) => {
      const body: RunRequest = {
        ...(run ? optionsOf(run) : first),
        mode: "interactive",
        ...(run ? { resume_from_run_id: run.id } : {}),
        ...(message ? { pending_user_message: message } : {}),
        ...(artifactIds.length ? { pending_user_artifact_ids: artifactIds } : {}),
      };
      start.mutate({ body, ...outcome });
    },
  };
}
