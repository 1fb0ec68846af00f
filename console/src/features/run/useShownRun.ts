import { useEffect, useRef } from "react";
import { useLocation } from "wouter";
import type { Run } from "../../api/types";
import { takesText } from "../../ui/unmeant";
import { useProject } from "../project/project";
import { hasDraft, isStartedHere } from "./useDraft";

/**
 * Return the run to show, null for the latest: the one of the address; but a run to which the person writes stays when
 * another device starts a new one, and gets the address.
 */
export function useShownRun(taskId: string, runId: string | null, latest: Run | null): string | null {
  const { href } = useProject();
  const [, navigate] = useLocation();
  const last = useRef<string | null>(null);
  const before = last.current;
  const isNew = runId === null && before !== null && before !== latest?.id;
  const stays = isNew && !(latest && isStartedHere(latest.id)) && isWritingTo(before) ? before : null;
  if (!stays) last.current = runId === null ? (latest?.id ?? null) : null;
  useEffect(() => {
    if (stays) navigate(href(`/tasks/${taskId}/runs/${stays}`), { replace: true });
  }, [stays, navigate, href, taskId]);
  return stays ?? runId;
}

const isWritingTo = (run: string): boolean =>
  hasDraft(run) || (takesText(document.activeElement) && document.activeElement?.closest("main") != null);
