import type { Run } from "../../api/types";
import { Counts, countOf } from "../../ui/counts";
import { earlierOf, figuresOf, usageOf } from "./runState";

/** What a run has changed, and what it cost. */
export function RunFigures({ run }: { run: Run }) {
  const { files, additions, deletions } = figuresOf(run);
  const cost = usageOf(run)?.cost;
  return (
    <>
      {earlierOf(run) && files > 0 && <span>last run</span>}
      {additions + deletions > 0 && <Counts additions={additions} deletions={deletions} />}
      {files > 0 && <span>{countOf(files, "file")}</span>}
      {cost != null && <span>${cost.toFixed(2)}</span>}
    </>
  );
}
