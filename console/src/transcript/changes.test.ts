import { describe, expect, it } from "vitest";
import { append, EMPTY } from "./append";
import { reportedChanges } from "./changes";

const tool = (toolCallId: string, fields: object) => ({
  type: "notification",
  timestamp: "2026-01-01T00:00:00Z",
  notification: {
    method: "session/update",
    params: {
      update: { sessionUpdate: "tool_call", toolCallId, kind: "edit", status: "completed", ...fields },
    },
  },
});
const diff = (path: string, oldText: string | null, newText: string) => ({
  type: "diff",
  path,
  oldText,
  newText,
});
const changes = (...tools: object[]) => reportedChanges(append(EMPTY, tools).items);

describe("reported changes", () => {
  it("are those of the last attempt", () => {
    const edit = (id: string) => tool(id, { content: [diff("a", null, "one\ntwo\n")] });
    const again = {
      type: "notification",
      timestamp: "2026-01-01T00:00:00Z",
      notification: { method: "_taskbeacon/progress", params: { step: "clone", message: "Cloning" } },
    };
    expect(changes(again, edit("1"), again, edit("2"))).toMatchObject([{ path: "a", additions: 2 }]);
    expect(changes(edit("1"), again)).toEqual([]);
  });

  it("join edits that follow each other", () => {
    const [file] = changes(
      tool("1", { content: [diff("a", null, "one\n")] }),
      tool("2", { content: [diff("a", "one\n", "one\ntwo\n")] }),
    );
    expect(file).toMatchObject({ path: "a", status: "A", additions: 2, deletions: 0 });
    expect(file?.patch?.match(/^@@/gm)).toHaveLength(1);
  });

  it("keep edits of other parts of a file side by side", () => {
    const [file] = changes(
      tool("1", { content: [diff("a", "x", "y")] }),
      tool("2", { content: [diff("a", "p", "q")] }),
    );
    expect(file).toMatchObject({ status: "M", additions: 2, deletions: 2 });
    expect(file?.patch?.match(/^@@/gm)).toHaveLength(2);
  });

  it("know what was deleted, and made again", () => {
    const gone = tool("2", { kind: "delete", locations: [{ path: "a" }] });
    const made = tool("1", { content: [diff("a", null, "one\n")] });
    expect(changes(made, gone)).toEqual([{ path: "a", status: "D", additions: 0, deletions: 0 }]);
    expect(changes(gone, tool("3", { content: [diff("a", null, "new\n")] }))[0]).toMatchObject({
      status: "A",
    });
  });

  it("leave out what has not happened", () => {
    expect(changes(tool("1", { status: "in_progress", content: [diff("a", null, "b")] }))).toEqual([]);
    expect(changes(tool("1", { status: "failed", content: [diff("a", null, "b")] }))).toEqual([]);
  });
});
