/**
 * What a run that works has changed so far, by the edits that its agent reports. The service knows the changes when
 * the run is over; until then this is the best there is: parts of files, and none of what commands changed.
 */
import { textPatch } from "../text/lineDiff";
import type { Item, ToolDiff, ToolItem } from "./items";

export interface ReportedChange {
  path: string;
  status: "A" | "M" | "D";
  additions: number;
  deletions: number;
  patch?: string;
}

type Edit = Pick<ToolDiff, "oldText" | "newText">;

const isEdit = (item: Item): item is ToolItem =>
  item.kind === "tool" &&
  item.status === "completed" &&
  (item.diffs.length > 0 || item.toolKind === "delete");

/** Return the edits that are in the workspace: each attempt at a run begins with another one. */
export function editsOf(items: readonly Item[]): ToolItem[] {
  const start = items.findLastIndex((item) => item.kind === "steps" && item.isStart);
  return items.slice(start + 1).filter(isEdit);
}

/** Return the reported edits of each file, in the order in which the files were first touched. */
export function reportedChanges(items: readonly Item[]): ReportedChange[] {
  const edits = new Map<string, Edit[]>();
  const deleted = new Set<string>();
  for (const item of editsOf(items)) {
    for (const { path, oldText, newText } of item.diffs) {
      deleted.delete(path);
      edits.set(path, joined(edits.get(path) ?? [], { oldText, newText }));
    }
    if (item.toolKind !== "delete") continue;
    for (const path of item.paths) {
      deleted.add(path);
      edits.set(path, []);
    }
  }
  return [...edits].map(([path, parts]) => changeOf(path, parts, deleted.has(path)));
}

/** An edit that begins with what the last one made is one with it. */
function joined(before: Edit[], edit: Edit): Edit[] {
  const last = before.at(-1);
  if (last && edit.oldText === last.newText) {
    return [...before.slice(0, -1), { oldText: last.oldText, newText: edit.newText }];
  }
  return [...before, edit];
}

function changeOf(path: string, edits: Edit[], isDeleted: boolean): ReportedChange {
  if (isDeleted) return { path, status: "D", additions: 0, deletions: 0 };
  const patch = edits.map(({ oldText, newText }) => textPatch(oldText, newText)).join("\n");
  const lines = patch.split("\n");
  return {
    path,
    status: edits[0]?.oldText === null ? "A" : "M",
    additions: lines.filter((line) => line.startsWith("+")).length,
    deletions: lines.filter((line) => line.startsWith("-")).length,
    patch,
  };
}
