import { useEffect, useRef } from "react";
import { useLocation } from "wouter";
import type { Run } from "../../api/types";
import { takesText } from "../../ui/unmeant";
import { hasDraft } from "../project/drafts";
import { useProject } from "../project/project";
import { isStartedHere } from "./useDraft";

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
  const isTyping = takesText(document.activeElement) && document.activeElement?.closest("main") != null;
  const isWriting = isTyping || (before !== null && hasDraft(before));
  const stays = isNew && !(latest && isStartedHere(latest.id)) && isWriting ? before : null;
  if (!stays) last.current = runId === null ? (latest?.id ?? null) : null;
  useEffect(() => {
    if (stays) navigate(href(`/tasks/${taskId}/runs/${stays}`), { replace: true });
  }, [stays, navigate, href, taskId]);
  return stays ?? runId;
}
