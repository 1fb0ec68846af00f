import { describe, expect, it } from "vitest";
import type { FileChange } from "../../api/types";
import { diffTexts } from "../../text/lineDiff";
import { openedTo, parseHunks, wholeOf, withGaps } from "../../text/patch";
import { anchorOf, keptCode, linesOf, placeOf, placeText, quoteOf, reaching } from "./range";
import {
  type Comment,
  fingerprint,
  inOrder,
  isChangedBy,
  reviewMessage,
  type ShownComment,
  tallyOf,
  viewOf,
} from "./review";

const PATCH =
  "@@ -1,4 +1,4 @@\n one\n-two\n-three\n+zwei\n+drei\n four\n@@ -20,2 +20,3 @@\n twenty\n+new\n end\n";
const hunks = parseHunks(PATCH);
const all = hunks.flatMap(({ lines }) => lines);
/** The place of a line of the patch. */
const at = (index: number) => all[index]?.at ?? 0;
const range = (start: number, end: number) => linesOf(hunks, { start: at(start), end: at(end) });

describe("a range of lines", () => {
  it("is the same from either end", () => {
    expect(range(1, 3).map(({ text }) => text)).toEqual(["two", "three", "zwei"]);
    expect(range(3, 1)).toEqual(range(1, 3));
  });

  it("reaches from its first line to others of its hunk", () => {
    const one = reaching(hunks, null, at(3));
    expect(linesOf(hunks, one)).toEqual(range(3, 3));
    expect(linesOf(hunks, reaching(hunks, reaching(hunks, one, at(5)), at(1)))).toEqual(range(1, 3));
    expect(linesOf(hunks, reaching(hunks, one, at(7)))).toEqual(range(7, 7));
  });

  it("has the numbers of the file as it is, and signs where kinds are mixed", () => {
    expect(placeOf(range(2, 4))).toMatchObject({ side: "new", start_line: 2, line: 3 });
    expect(quoteOf(range(2, 4))).toEqual({ code: "-three\n+zwei\n+drei", hasSigns: true });
    expect(placeOf(range(1, 2))).toMatchObject({ side: "old", start_line: 2, line: 3 });
    expect(quoteOf(range(1, 2))).toEqual({ code: "two\nthree", hasSigns: false });
    expect(placeOf(range(5, 5))).toMatchObject({ side: "new", start_line: 4, line: 4 });
  });

  it("is written as words", () => {
    expect(placeText({ side: "new", start_line: 4, line: 4 })).toBe("line 4");
    expect(placeText({ side: "old", start_line: 2, line: 3 })).toBe("removed lines 2 to 3");
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
    expect(anchorOf(hunks, placeOf(range(start, end)))).toEqual(range(start, end));
  });

  it("is lost when the lines are others", () => {
    const place = placeOf(range(3, 4));
    expect(anchorOf(parseHunks(PATCH.replace("zwei", "deux")), place)).toEqual([]);
    expect(anchorOf([], place)).toEqual([]);
    expect(anchorOf(hunks, { ...place, hash: null })).toEqual([]);
  });
});

describe("a comment between the hunks", () => {
  const before = Array.from({ length: 60 }, (_, index) => `line ${index + 1}`);
  const after = [...before.slice(0, 24), "new", ...before.slice(25, 44), ...before.slice(45)];
  const patch = diffTexts(before.join("\n"), after.join("\n"));
  const whole = wholeOf(patch, before);
  const on = (start: number, end: number) => {
    const lines = whole[0]?.lines.filter(({ newNumber: one }) => one && one >= start && one <= end) ?? [];
    return placeOf(lines);
  };

  it.each([
    [2, 2],
    [20, 23],
    [29, 30],
    [28, 41],
    [40, 41],
    [58, 59],
  ])("opens the gap that it stands in: %i to %i", (start, end) => {
    const place = on(start, end);
    expect(anchorOf(patch, place)).toEqual([]);
    const shown = withGaps(patch, before, openedTo(anchorOf(whole, place), patch, before, new Map()));
    expect(anchorOf(shown, place).map(({ text }) => text)).toEqual(after.slice(start - 1, end));
    expect(shown.some(({ gap }) => gap?.size)).toBe(true);
  });

  it("opens nothing where its lines have changed, or are in the patch", () => {
    const known = new Map([[0, { top: 3, end: 0 }]]);
    for (const place of [{ ...on(10, 10), hash: "0.0.other" }, on(25, 25)])
      expect(openedTo(anchorOf(whole, place), patch, before, known)).toEqual(known);
  });
});

describe("a review", () => {
  const counts = { additions: 1, deletions: 1, binary: false, truncated: false };
  const sizes = { old_size: null, new_size: null };
  const file: FileChange = { path: "x", old_path: null, status: "M", ...counts, ...sizes, patch: PATCH };

  it("takes the mark of a viewed file back when it changes again", () => {
    const viewed = new Map([["x", fingerprint(file)]]);
    expect(viewOf(viewed, { ...file })).toBe("viewed");
    expect(viewOf(viewed, { ...file, patch: `${PATCH}+c\n` })).toBe("changed");
    expect(viewOf(viewed, { ...file, path: "y" })).toBe("new");
  });

  it("has a tally of what the run after it has done", () => {
    const comment = {
      id: "1",
      path: "x",
      hash: null,
      text: "Why?",
      created_at: null,
      sent: "Asked",
    };
    const on = (start_line: number, line: number, side: "old" | "new" = "new"): ShownComment => ({
      ...{ ...comment, side, start_line, line },
    });
    const tally = (...asked: ShownComment[]) =>
      tallyOf(asked.map((one) => ({ isChanged: isChangedBy([file], one) })));
    expect(tally(on(2, 2), on(9, 9), on(2, 2, "old"))).toBe("The lines of 1 of 3 comments changed.");
    // A change between two lines, and one at the end of lines that begin above the hunk.
    expect(tally(on(20, 20), on(21, 21), on(18, 20))).toBe("The lines of 3 comments changed.");
    expect(tally(on(19, 19), on(22, 22))).toBe("Nothing changed at the lines of 2 comments.");
    expect(tally(on(2, 2))).toBe("The lines of 1 comment changed.");
    // Lines that were removed before line 2, and before line 9.
    const gone = (next: number) => ({ ...on(7, 7, "old"), hash: `0.0.a.b.c.${next}` });
    expect(tally(gone(2), gone(9))).toBe("The lines of 1 of 2 comments changed.");
    expect(tally({ ...on(2, 2), path: "y" })).toBe("Nothing changed at the lines of 1 comment.");
    // The beginning of a patch is not all that a run has deleted.
    const cut = { ...file, status: "D" as const, patch: "@@ -1,2 +0,0 @@\n-one\n-two\n" };
    expect(isChangedBy([cut], on(900, 900))).toBe(true);
  });

  it("is one message that quotes file, lines and code, whatever the code holds", () => {
    const lines = parseHunks("@@ -1 +1 @@\n-```x\n+y")[0]?.lines ?? [];
    const comment = { id: "1", path: "src/a.py", ...placeOf(lines), text: "Why?", created_at: null };
    const gone = { ...comment, ...placeOf(range(1, 1)) };
    expect(
      reviewMessage([
        [comment, lines],
        [gone, []],
      ]),
    ).toBe(
      "Comments on your changes:\n\nsrc/a.py, line 1\n````diff\n-```x\n+y\n````\nWhy?\n\nsrc/a.py: this was removed line 2 when the comment was made\n```\ntwo\n```\nWhy?",
    );
  });

  it("quotes lines that have moved or changed as they were, and says that their numbers are old", () => {
    const [made] = parseHunks("@@ -10,2 +10,2 @@\n for\n-    t += price\n+    ```+= price*qty  \n");
    const lines = made?.lines.slice(2) ?? [];
    const place = placeOf(lines);
    // As the service keeps it.
    const comment = {
      ...{ ...place, hash: place.hash?.trim() ?? null },
      ...{ id: "1", path: "a.py", text: "Why?", created_at: null },
    };
    expect(made && anchorOf([made], comment)).toEqual(lines);
    const later = parseHunks("@@ -9,3 +11,3 @@\n t = 0\n for\n-    t += price\n+    t += price * qty\n");
    expect(anchorOf(later, comment)).toEqual([]);
    const said = (one: Comment) =>
      reviewMessage([[one, anchorOf(later, one)]])
        .split("\n")
        .slice(2)
        .join("\n");
    expect(said(comment)).toBe(
      "a.py: this was line 11 when the comment was made\n````\n    ```+= price*qty\n````\nWhy?",
    );
    expect(said({ ...comment, start_line: 10, hash: "0.0.older" })).toBe(
      "a.py: these were lines 10 to 11 when the comment was made\nWhy?",
    );
  });

  it("keeps no more of its lines than the service takes", () => {
    const lines = parseHunks(`@@ -0,0 +1 @@\n+${"😀".repeat(300)}`)[0]?.lines ?? [];
    const { hash } = placeOf(lines);
    expect([...(hash ?? "")].length).toBeLessThanOrEqual(128);
    expect(keptCode({ hash })).toBe(`${"😀".repeat(92)}…`);
  });

  it("ends a block of code that a remark or a comment leaves open, so that none swallows the next comment", () => {
    const comment = { id: "1", path: "a.py", ...placeOf(range(1, 1)), hash: null, created_at: null };
    const texts = [
      "Like so:\n````sh\n```\nls",
      "```ls``` is it",
      "~~~ x\n```\n~~",
      "```\nls\n```\nNot `a",
      "Why?",
    ];
    const message = reviewMessage(
      texts.map((text) => [{ ...comment, text }, []] as const),
      "See\n  ```",
    );
    expect(
      message
        .split("a.py: this was removed line 2 when the comment was made\n")
        .map((part) => part.trimEnd()),
    ).toEqual([
      "See\n  ```\n  ```\n\nComments on your changes:",
      "Like so:\n````sh\n```\nls\n````",
      "```ls``` is it",
      "~~~ x\n```\n~~\n~~~",
      "```\nls\n```\nNot `a",
      "Why?",
    ]);
  });
});

it("puts files in the order of their folders and numbers, and those without a folder last", () => {
  const files = ["z.txt", "src/c_10.py", "src/c_2.py", "src/app/b.py", "src/app/a.py"].map((path) => ({
    path,
  }));
  expect(inOrder(files).map(({ path }) => path)).toEqual([
    "src/c_2.py",
    "src/c_10.py",
    "src/app/a.py",
    "src/app/b.py",
    "z.txt",
  ]);
});
