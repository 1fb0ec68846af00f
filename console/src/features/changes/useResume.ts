import { useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";
import { useLocation } from "wouter";
import type { RunRef } from "../../api/commands";
import { startRun } from "../../api/tasks";
import type { Run } from "../../api/types";
import { useProject } from "../project/project";

/** Returns a function that resumes a finished run with a message, and opens the new run. */
export function useResume(ref: RunRef, run: Run): (message: string) => Promise<void> {
  const { href } = useProject();
  const [, navigate] = useLocation();
  const queries = useQueryClient();
  return useCallback(
    async (message) => {
      await startRun(ref.project, ref.task, {
        mode: "interactive",
        resume_from_run_id: run.id,
        pending_user_message: message,
      });
      await queries.invalidateQueries({ queryKey: ["task", ref.task] });
      navigate(href(`/tasks/${ref.task}`));
    },
    [ref, run.id, href, navigate, queries],
  );
}
