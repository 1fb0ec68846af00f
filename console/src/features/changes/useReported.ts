import { useRef } from "react";
import type { FileChange } from "../../api/types";
import { editsOf, reportedChanges } from "../../transcript/changes";
import type { Item } from "../../transcript/items";

/** The changes that the agent has reported; computed again when it reports an edit, not for each word that it writes. */
export function useReported(items: readonly Item[], isWanted: boolean): FileChange[] {
  const known = useRef<{ edits: Item[]; files: FileChange[] }>({ edits: [], files: [] });
  if (!isWanted) return known.current.files;
  const edits = editsOf(items);
  const isSame =
    edits.length === known.current.edits.length &&
    edits.every((item, index) => item === known.current.edits[index]);
  if (!isSame) {
    const files = reportedChanges(edits).map((change) => ({
      ...change,
      old_path: null,
      binary: false,
      old_size: null,
      new_size: null,
      truncated: false,
    }));
    known.current = { edits, files };
  }
  return known.current.files;
}
