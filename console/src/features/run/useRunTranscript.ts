import { useEffect, useMemo } from "react";
import type { RunRef } from "../../api/commands";
import type { Run } from "../../api/types";
import { useStore } from "../../ui/store";
import { useProject } from "../project/project";
import { earlierOf, isOver } from "../project/runState";
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

/** Read the transcript of a run before it is shown, unless the run goes on: that comes by the stream. */
export function preloadTranscript(ref: RunRef, run: Run): void {
  if (isOver(run)) transcriptOf(ref, earlierOf(run)).read();
}

export function useRunTranscript(ref: RunRef, run: Run): Snapshot {
  const { stream } = useProject();
  // biome-ignore lint/correctness/useExhaustiveDependencies: a run keeps its project, task and earlier run
  const transcript = useMemo(() => transcriptOf(ref, earlierOf(run)), [ref.run]);
  // What the run was when it was opened: its end comes by the stream, which is not left for it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above
  const wasOver = useMemo(() => isOver(run), [ref.run]);
  useEffect(() => (stream ? transcript.follow(stream, wasOver) : undefined), [stream, transcript, wasOver]);
  return useStore(transcript);
}
