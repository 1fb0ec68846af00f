import { expect, it } from "vitest";
import { findRows } from "./find";
import type { Item, ToolItem } from "./items";
import type { Row } from "./rows";

const agent = (id: string, text: string) => ({ kind: "agent", id, at: "", text, isOpen: false }) as Item;
const tool = (id: string, more: Partial<ToolItem>) =>
  ({ kind: "tool", id, title: "", command: "", output: "", diffs: [], ...more }) as ToolItem;

it("finds text in what a row shows, opened or not, in any case", () => {
  const rows: Row[] = [
    agent("a", "Nothing here"),
    { kind: "fold", id: "f", tools: [tool("t1", { output: "x" }), tool("t2", { title: "Read a NEEDLE" })] },
    tool("t3", { diffs: [{ path: "a.py", oldText: null, newText: "needle = 1" }] }),
  ];
  expect(findRows(rows, "needle")).toEqual(["f", "t3"]);
  expect(findRows(rows, "null")).toEqual([]);
});
