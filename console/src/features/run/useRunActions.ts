import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useLocation } from "wouter";
import { request } from "../../api/client";
import { closeConversation } from "../../api/commands";
import { cancelRun, type RunRequest, startRun, updateTask } from "../../api/tasks";
import type { Run, Task } from "../../api/types";
import { useAction } from "../../ui/action";
import { expectPage } from "../../ui/arrival";
import { say, sayError } from "../../ui/feedback";
import { useProject } from "../project/project";
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
  archive: () => void;
  /** The service does not say whether a task is muted, so this knows what was done here only. */
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
  const [isMuted, setMuted] = useState(false);
  const id = task.id;
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
    onError: sayError,
  });
  const finish = useAction({
    mutationFn: () => closeConversation({ project: project.id, task: id, run: run?.id ?? "" }),
    onError: sayError,
  });
  const archive = useAction({
    mutationFn: (archived: boolean) => updateTask(project.id, id, { archived }),
    onSuccess: (changed) => {
      if (changed.archived) say("Archived.", "info", () => archive.mutate(false));
      else say("Taken out of the archive.");
      refresh();
    },
    onError: sayError,
  });
  const mute = useAction({
    mutationFn: (isMuted: boolean) =>
      request<void>(`/api/projects/${project.id}/tasks/${id}/mute/`, { method: isMuted ? "PUT" : "DELETE" }),
    onSuccess: (_, isMuted) => {
      setMuted(isMuted);
      say(isMuted ? "You get no pushes about this task." : "You get pushes about this task again.");
    },
    onError: sayError,
  });
  return {
    isBusy: start.isPending || cancel.isPending,
    cancel: () => cancel.mutate(),
    finish: () => finish.mutate(),
    isFinishing: finish.isPending || finish.isSuccess,
    retry: () => start.mutate(run ? { body: optionsOf(run) } : { body: first, onStarted: onFirst }),
    archive: () => archive.mutate(!task.archived),
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
