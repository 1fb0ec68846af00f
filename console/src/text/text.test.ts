import { describe, expect, it } from "vitest";
import { parseAnsi, stripAnsi } from "./ansi";
import { countLines, diffTexts } from "./lineDiff";
import { parseHunks, splitRows } from "./patch";

describe("terminal output", () => {
  it("keeps colours and weights as names of classes", () => {
    expect(parseAnsi("a\u001b[1;31mb\u001b[22mc\u001b[0md")).toEqual([
      { text: "a", classes: [] },
      { text: "b", classes: ["bold", "fg-1"] },
      { text: "c", classes: ["fg-1"] },
      { text: "d", classes: [] },
    ]);
  });

  it("drops what moves the cursor, sets titles or links", () => {
    const text =
      "\u001b]0;title\u0007a\u001b[2J\u001b]8;;http://evil\u001b\\b\u001b]8;;\u001b\\\u001b[10Cc\u0007";
    expect(stripAnsi(text)).toBe("abc");
    expect(parseAnsi(text)).toEqual([{ text: "abc", classes: [] }]);
  });

  it("shows the last state of a line that was written over", () => {
    expect(stripAnsi("10%\r50%\r100%\ndone\r\n")).toBe("100%\ndone\n");
  });

  it("reads extended colours without taking their numbers for codes", () => {
    expect(parseAnsi("\u001b[38;2;1;4;9mx\u001b[38;5;2my")).toEqual([
      { text: "x", classes: [] },
      { text: "y", classes: ["fg-2"] },
    ]);
  });
});

const PATCH = `diff --git a/old.txt b/new.txt
similarity index 80%
rename from old.txt
rename to new.txt
--- a/old.txt
+++ b/new.txt
@@ -1,3 +1,3 @@ first
 same
-gone
+come
 end
`;

describe("patches", () => {
  it("number their lines on both sides", () => {
    const [hunk] = parseHunks(PATCH);
    expect(hunk?.header).toBe("first");
    expect(hunk?.lines.map(({ oldNumber, newNumber, text }) => [oldNumber, newNumber, text])).toEqual([
      [1, 1, "same"],
      [2, null, "gone"],
      [null, 2, "come"],
      [3, 3, "end"],
    ]);
  });

  it("stand side by side, deletions beside additions", () => {
    const [hunk] = parseHunks("@@ -1,3 +1,2 @@\n-a\n-b\n+c\n d");
    const rows = splitRows(hunk?.lines ?? []);
    expect(rows.map(({ left, right }) => [left?.text, right?.text])).toEqual([
      ["a", "c"],
      ["b", undefined],
      ["d", "d"],
    ]);
  });
});

describe("two texts", () => {
  it("differ by lines with some context", () => {
    const before = Array.from({ length: 20 }, (_, index) => `line ${index}`).join("\n");
    const hunks = diffTexts(before, before.replace("line 10", "line ten"));
    expect(countLines(hunks)).toEqual({ additions: 1, deletions: 1 });
    expect(hunks[0]?.lines).toHaveLength(8);
    expect(hunks[0]?.lines[0]).toMatchObject({ oldNumber: 8, newNumber: 8 });
  });

  it("do not differ by the end of a part of a file", () => {
    expect(countLines(diffTexts("a\nb", "a\nb\nc"))).toEqual({ additions: 1, deletions: 0 });
  });

  it("are all added where there was no file", () => {
    expect(countLines(diffTexts(null, "a\nb\n"))).toEqual({ additions: 2, deletions: 0 });
  });
});
