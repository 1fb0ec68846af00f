/** What the files of a run are compared with, and why there may be nothing to show. Pure. */
import type { Base } from "../../api/changes";
import type { Diff, Run } from "../../api/types";
import { earlierOf, isOver } from "../project/runState";

/** Why there is no diff; the first ones pass. */
const MISSING: Record<string, [text: string, passes: boolean]> = {
  no_answer: ["The worker of the run does not answer. Asking again …", true],
  over: ["The run has just ended. Asking for what is stored …", true],
  not_started: ["The run has no workspace yet.", true],
  elsewhere: ["A client performs this run. Its changes come with its patch.", false],
  failed: ["They cannot be compared now. Asking again …", true],
  no_branch: ["The branch is not there.", false],
  too_large: ["Comparing them takes too long. They come with the patch, at the end of the run.", false],
};

const NO_WHOLE =
  "Of the branch before this run nothing is kept: no run before it has pushed one, or it ended too long ago.";

/** Return why there is no diff, if that is so, and whether it may be there when it is asked for again. */
export function missingOf(diff: Diff | undefined, base: Base): { text?: string; passes?: boolean } {
  const [text, passes = false] = MISSING[diff?.missing ?? ""] ?? [];
  if (!text) return {};
  return { text: base === "first" && diff?.missing === "no_branch" ? NO_WHOLE : text, passes };
}

/** What can be shown: the workspace, which can be compared with another commit, is gone when the run is over. */
export function basesOf(run: Run) {
  const whole = earlierOf(run) ? [["first", "Whole branch"] as const] : [];
  const now = isOver(run) ? [] : [["branch", "Against its base now"] as const];
  return [["start", earlierOf(run) ? "Only this run" : "This run"] as const, ...whole, ...now];
}
