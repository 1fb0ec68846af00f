import { describe, expect, it } from "vitest";
import type { FileChange } from "../../api/types";
import { parseHunks } from "../../text/patch";
import { anchorOf, extendBy, extendTo, linesOf, placeOf, placeText } from "./range";
import { fingerprint, reviewMessage, viewOf } from "./review";
import { inTreeOrder, treeOf } from "./tree";

const PATCH =
  "@@ -1,4 +1,4 @@\n one\n-two\n-three\n+zwei\n+drei\n four\n@@ -20,2 +20,3 @@\n twenty\n+new\n end\n";
const hunks = parseHunks(PATCH);
const range = (start: number, end: number) => linesOf(hunks, { start, end });

describe("a range of lines", () => {
  it("is the same from either end", () => {
    expect(range(1, 3).map(({ text }) => text)).toEqual(["two", "three", "zwei"]);
    expect(range(3, 1)).toEqual(range(1, 3));
  });

  it("ends where its hunk does", () => {
    expect(extendTo(hunks, { start: 4, end: 4 }, 8)).toEqual({ start: 4, end: 5 });
    expect(extendTo(hunks, { start: 7, end: 7 }, 0)).toEqual({ start: 7, end: 6 });
  });

  it("grows line by line in both directions", () => {
    const down = extendBy(hunks, { start: 3, end: 3 }, 1);
    expect(range(down.start, down.end)).toHaveLength(2);
    const both = extendBy(hunks, down, -1);
    expect(range(both.start, both.end).map(({ at }) => at)).toEqual([2, 3, 4]);
    expect(extendBy(hunks, { start: 5, end: 5 }, 1)).toEqual({ start: 5, end: 5 });
  });

  it("has the numbers of the file as it is, and signs where kinds are mixed", () => {
    expect(placeOf(range(2, 4))).toEqual({
      side: "new",
      from: 2,
      to: 3,
      code: "-three\n+zwei\n+drei",
      hasSigns: true,
    });
    expect(placeOf(range(1, 2))).toMatchObject({ side: "old", from: 2, to: 3, code: "two\nthree" });
    expect(placeOf(range(5, 5))).toMatchObject({ side: "new", from: 4, to: 4, hasSigns: false });
  });

  it("is written as words", () => {
    expect(placeText({ side: "new", from: 4, to: 4 })).toBe("line 4");
    expect(placeText({ side: "old", from: 2, to: 3 })).toBe("removed lines 2 to 3");
  });
});

describe("the place of a comment", () => {
  it.each([
    [0, 0],
    [1, 1],
    [1, 2],
    [0, 2],
    [2, 4],
    [3, 4],
    [0, 5],
    [6, 8],
  ])("is found again in the same patch: %i to %i", (start, end) => {
    expect(anchorOf(hunks, placeOf(range(start, end)))?.at).toBe(end);
  });

  it("is lost when the lines are others", () => {
    const place = placeOf(range(3, 4));
    expect(anchorOf(parseHunks(PATCH.replace("zwei", "deux")), place)).toBeNull();
    expect(anchorOf(parseHunks(PATCH.replace("+1,4", "+2,4")), place)).toBeNull();
    expect(anchorOf([], place)).toBeNull();
  });
});

describe("a review", () => {
  const counts = {
    additions: 1,
    deletions: 1,
    binary: false,
    old_size: null,
    new_size: null,
    truncated: false,
  };
  const file: FileChange = { path: "x", old_path: null, status: "M", ...counts, patch: PATCH };

  it("takes the mark of a viewed file back when it changes again", () => {
    const viewed = { x: fingerprint(file) };
    expect(viewOf(viewed, { ...file })).toBe("viewed");
    expect(viewOf(viewed, { ...file, patch: `${PATCH}+c\n` })).toBe("changed");
    expect(viewOf(viewed, { ...file, path: "y" })).toBe("new");
  });

  it("is one message that quotes file, lines and code, whatever the code holds", () => {
    const comment = {
      id: "1",
      path: "src/a.py",
      ...placeOf(range(2, 3)),
      code: "-```x\n+y",
      hasNumbers: true,
      text: "Why?",
    };
    expect(reviewMessage([comment, { ...comment, ...placeOf(range(1, 1)), hasNumbers: false }])).toBe(
      "Comments on your changes:\n\nsrc/a.py, line 2\n````diff\n-```x\n+y\n````\nWhy?\n\nsrc/a.py\n```\ntwo\n```\nWhy?",
    );
  });
});

describe("the tree of files", () => {
  const files = ["z.txt", "src/app/a.py", "src/app/b.py", "src/c.py"].map((path) => ({ path }));

  it("joins folders that hold one folder only", () => {
    expect(treeOf(files.slice(0, 3)).map(({ name, depth }) => [name, depth])).toEqual([
      ["src/app", 0],
      ["a.py", 1],
      ["b.py", 1],
      ["z.txt", 0],
    ]);
  });

  it("gives the order in which files are read", () => {
    expect(inTreeOrder(files).map(({ path }) => path)).toEqual([
      "src/app/a.py",
      "src/app/b.py",
      "src/c.py",
      "z.txt",
    ]);
  });
});
