import { useEffect, useMemo, useSyncExternalStore } from "react";
import type { RunRef } from "../../api/commands";
import type { Run } from "../../api/types";
import { useProject } from "../project/project";
import { isOver } from "../project/runState";
import { RunTranscript, type Snapshot } from "./runTranscript";

/** The transcripts shown last, so that going back and forth reads nothing again. */
const kept = new Map<string, RunTranscript>();
const MOST_KEPT = 6;

function transcriptOf(ref: RunRef, earlierRun: string | null): RunTranscript {
  const known = kept.get(ref.run) ?? new RunTranscript(ref, earlierRun);
  kept.delete(ref.run);
  kept.set(ref.run, known);
  const oldest = kept.keys().next();
  if (kept.size > MOST_KEPT && !oldest.done) kept.delete(oldest.value);
  return known;
}

export function useRunTranscript(ref: RunRef, run: Run): Snapshot {
  const { stream } = useProject();
  const earlier = typeof run.state.resume_from_run_id === "string" ? run.state.resume_from_run_id : null;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a run keeps its project, task and earlier run
  const transcript = useMemo(() => transcriptOf(ref, earlier), [ref.run]);
  // What the run was when it was opened: its end comes by the stream, which is not left for it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above
  const wasOver = useMemo(() => isOver(run), [ref.run]);
  useEffect(() => (stream ? transcript.follow(stream, wasOver) : undefined), [stream, transcript, wasOver]);
  return useSyncExternalStore(transcript.subscribe, transcript.getSnapshot);
}
