/** Says that others have added to the branch which a live run began from. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import type { RunRef } from "../../api/commands";
import { countOf } from "../../ui/counts";
import { changesQuery } from "./useReview";

// What the branch has now is asked of its code host.
const AGAIN_MS = 60_000;

interface Props {
  runRef: RunRef;
  branch: string | null;
  onCompare: (() => void) | undefined;
}

export function MovedBase({ runRef, branch, onCompare }: Props) {
  const compared = changesQuery(useQueryClient(), runRef, "branch");
  const { data } = useQuery({ ...compared, staleTime: AGAIN_MS, refetchInterval: AGAIN_MS });
  if (!data?.behind) return null;
  return (
    <p className="padded small attention">
      {branch ?? "The base"} has moved on by {countOf(data.behind, "commit")} since the run began.{" "}
      {onCompare && (
        <button type="button" className="line link" onClick={onCompare}>
          Compare with it now
        </button>
      )}
    </p>
  );
}
