import { describe, expect, it } from "vitest";
import { append, EMPTY } from "../../transcript/append";
import { choicesFor, complete, completionAt, filesOf } from "./completion";

const standing = {
  ...EMPTY.standing,
  commands: [
    { name: "review", description: "Look at changes" },
    { name: "reset", description: "" },
  ],
};
const files = ["src/api/client.ts", "src/app/App.tsx", "docs/api.md"];
const choices = (text: string, caret = text.length) => {
  const completion = completionAt(text, caret);
  return completion ? choicesFor(completion, standing, files).map(({ value }) => value.trim()) : [];
};

describe("completion", () => {
  it("offers commands at the beginning of a message only", () => {
    expect(choices("/re")).toEqual(["/review", "/reset"]);
    expect(choices("/REV")).toEqual(["/review"]);
    expect(choices("say /re")).toEqual([]);
    expect(choices("/review now")).toEqual([]);
  });

  it("offers files by their names before their folders", () => {
    expect(choices("look at @ap")).toEqual(["@src/app/App.tsx", "@docs/api.md", "@src/api/client.ts"]);
    expect(choices("me@example")).toEqual([]);
    expect(choices("@nothing")).toEqual([]);
  });

  it("replaces what was typed at the caret, and leaves the rest", () => {
    const text = "see @cli please";
    const completion = completionAt(text, 8);
    const [choice] = completion ? choicesFor(completion, standing, files) : [];
    expect(completion && choice && complete(text, completion, choice)).toEqual([
      "see @src/api/client.ts please",
      23,
    ]);
  });
});

describe("the files of a run", () => {
  const tool = (id: string, fields: object) => ({
    type: "notification",
    notification: {
      method: "session/update",
      params: { update: { sessionUpdate: "tool_call", toolCallId: id, ...fields } },
    },
  });

  it("are those of its tools, the latest first and once", () => {
    const { items } = append(EMPTY, [
      tool("1", { locations: [{ path: "a.ts" }, { path: "b.ts" }] }),
      tool("2", { content: [{ type: "diff", path: "c.ts", newText: "" }] }),
      tool("3", { locations: [{ path: "b.ts" }] }),
    ]);
    expect(filesOf(items)).toEqual(["b.ts", "c.ts", "a.ts"]);
  });
});
