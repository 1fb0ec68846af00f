import { describe, expect, it } from "vitest";
import { parseAnsi } from "./ansi";
import { countLines, diffTexts, withoutSpaces } from "./lineDiff";
import { folded, LONGEST_SHOWN, pairsOf, piecesOf, visible, wordsOf } from "./marks";
import { isOf, parseHunks, splitRows, withGaps } from "./patch";

describe("terminal output", () => {
  it("keeps colours and weights as styles", () => {
    expect(parseAnsi("a\u001b[1;31mb\u001b[22mc\u001b[0md")).toEqual([
      { text: "a", style: {} },
      { text: "b", style: { fontWeight: "700", color: "var(--ansi-1)" } },
      { text: "c", style: { color: "var(--ansi-1)" } },
      { text: "d", style: {} },
    ]);
  });

  it("drops what moves the cursor, sets titles or links", () => {
    const text =
      "\u001b]0;title\u0007a\u001b[2J\u001b]8;;http://evil\u001b\\b\u001b]8;;\u001b\\\u001b[10Cc\u0007";
    expect(parseAnsi(text)).toEqual([{ text: "abc", style: {} }]);
  });

  it("shows the last state of a line that was written over", () => {
    expect(parseAnsi("10%\r50%\r100%\ndone\r\n")).toEqual([{ text: "100%\ndone\n", style: {} }]);
  });

  it("reads extended colours without taking their numbers for codes", () => {
    expect(parseAnsi("\u001b[38;2;1;4;9mx\u001b[38;5;2my")).toEqual([
      { text: "x", style: {} },
      { text: "y", style: { color: "var(--ansi-2)" } },
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

describe("gaps", () => {
  const before = Array.from({ length: 60 }, (_, index) => `line ${index + 1}`);
  const after = [...before.slice(0, 24), "new", ...before.slice(25, 44), ...before.slice(45)];
  const hunks = diffTexts(before.join("\n"), after.join("\n")).map((hunk) => ({ ...hunk, header: "def f" }));
  const gapsOf = (shown: typeof hunks) => shown.map(({ gap }) => gap?.size ?? null);
  const numbers = (shown: typeof hunks) =>
    shown.flatMap(({ lines }) => lines.map((line) => [line.oldNumber, line.newNumber]));

  it("have sizes, except for the last one until the file is known", () => {
    expect(gapsOf(withGaps(hunks, null, new Map()))).toEqual([21, 13, null]);
    expect(gapsOf(withGaps(hunks, before, new Map()))).toEqual([21, 13, 12]);
    expect(isOf(hunks, before)).toBe(true);
    expect(isOf(hunks, after)).toBe(false);
  });

  it("open at both ends, and join what is around them when they are gone", () => {
    const opened = new Map([
      [0, { top: 0, end: 20 }],
      [1, { top: 10, end: 10 }],
      [2, { top: 5, end: 0 }],
    ]);
    const shown = withGaps(hunks, before, opened);
    expect(gapsOf(shown)).toEqual([1, 7]);
    const lines = shown[0]?.lines ?? [];
    expect(lines[0]).toMatchObject({ kind: "context", text: "line 2", oldNumber: 2, newNumber: 2 });
    expect(lines.at(-1)).toMatchObject({ text: "line 53", oldNumber: 53, newNumber: 52 });
    const places = lines.map(({ at }) => at);
    expect(places).toEqual([...new Set(places)].toSorted((one, other) => one - other));
  });

  it("open altogether to the whole file, and keep the places of lines", () => {
    const all = { top: 0, end: Number.POSITIVE_INFINITY };
    const whole = withGaps(hunks, before, new Map([0, 1, 2].map((id) => [id, all])));
    expect(gapsOf(whole)).toEqual([null]);
    expect(whole[0]?.header).toBe("");
    expect(numbers(whole).flatMap(([, number]) => number ?? [])).toEqual(after.map((_, index) => index + 1));
    const places = new Set(whole[0]?.lines.map(({ at }) => at));
    expect(hunks.every(({ lines }) => lines.every(({ at }) => places.has(at)))).toBe(true);
  });

  it("are none in files that are new or gone", () => {
    const [added, deleted] = ["@@ -0,0 +1,2 @@\n+a\n+b", "@@ -1,2 +0,0 @@\n-a\n-b"].map(parseHunks);
    expect(gapsOf(withGaps(added ?? [], null, new Map()))).toEqual([null]);
    expect(gapsOf(withGaps(deleted ?? [], null, new Map()))).toEqual([null]);
  });
});

describe("words of a line", () => {
  const changed = (before: string, after: string) => {
    const [hunk] = parseHunks(`@@ -1 +1 @@\n-${before}\n+${after}\n`);
    const words = hunk && pairsOf(hunk).length > 0 && wordsOf(before, after);
    const of = (text: string, marks: readonly number[] = []) =>
      piecesOf(text, [], marks).flatMap(({ text, isChanged }) => (isChanged ? text : []));
    return words && [of(before, words.before), of(after, words.after)];
  };

  it("are those that differ", () => {
    expect(changed("a = price(1)", "a = price(2)")).toEqual([["1"], ["2"]]);
    expect(changed("  return x", "return x")).toEqual([["  "], []]);
    expect(changed("return run_id", "return identifier_of_run")).toEqual([["run_id"], ["identifier_of_run"]]);
    expect(changed("note 100 of this", "note one hundred of this")).toEqual([["100"], ["one hundred "]]);
  });

  it("are none where the lines have little in common, or are data", () => {
    expect(changed("import os", "x = 1")).toBe(false);
    expect(changed("if ready:", "return [one, identifier_of_run(two), await three]")).toBe(false);
    expect(changed("a".repeat(1000), "a".repeat(1001))).toBe(false);
  });

  it("cut marked code, and keep all of its text", () => {
    const pieces = piecesOf("return price", [6, 4, 6, 5], [8, 0, 4, 1]);
    expect(pieces.map(({ text, mark, isChanged }) => [text, mark, isChanged])).toEqual([
      ["return", "keyword", false],
      [" p", "function", false],
      ["rice", "function", true],
    ]);
  });
});

describe("replaced lines", () => {
  const pairs = (...lines: string[]) => {
    const [hunk] = parseHunks(`@@ -1 +1 @@\n${lines.join("\n")}\n`);
    return hunk && pairsOf(hunk).map((pair) => pair.map(({ text }) => text));
  };

  it("stand for those that resemble them most, wherever others were put between", () => {
    const [before, after] = ["total = price * count", "total = price * count * rate"];
    expect(pairs(`-${before}`, "+import math", "+", `+${after}`)).toEqual([[before, after]]);
    expect(pairs("-import os", `-${before}`, `+${after}`, "+print(total)")).toEqual([[before, after]]);
    const [one, two] = ["self.one = read(1)", "self.two = read(2)"];
    const lines = [`-${one}`, `-${two}`, "+def reset(self):", `+${one}!`, `+${two}!`];
    expect(pairs(...lines)).toEqual([
      [one, `${one}!`],
      [two, `${two}!`],
    ]);
  });

  it("have no other one where nothing is like them, or in another place", () => {
    expect(pairs("-import os", "+x = 1")).toEqual([]);
    expect(pairs("-value = one", " between", "+value = two")).toEqual([]);
  });

  it("keep their order where there are many, and are found soon", () => {
    const many = (sign: string, word: string) =>
      Array.from({ length: 40 }, (_, at) => `${sign}call(${at}, ${word}, alpha, beta, gamma)`);
    const began = performance.now();
    const found = pairs(...many("-", "one"), "+first()", ...many("+", "two"));
    expect(found?.map(([, text]) => text)).toEqual(many("", "two"));
    expect(pairs(...many("-", "a"), ...many("-", "b"), ...many("+", "c"), ...many("+", "d"))).toHaveLength(
      80,
    );
    expect(performance.now() - began).toBeLessThan(2000);
  });
});

it("folds long lines, also those of several pieces", () => {
  const long = "x".repeat(LONGEST_SHOWN);
  const shown = (...texts: string[]) => folded(texts.map((text) => ({ text }))).map(({ text }) => text);
  expect(shown(`${long}\nshort`)).toEqual([`${long}\nshort`]);
  expect(shown(`${long}more\nshort`)).toEqual([`${long} …\nshort`]);
  expect(shown(long, "more", "and more\nnext ", "line")).toEqual([long, " …", "\nnext ", "line"]);
  expect(shown("a", `${long}`, `\n${long}b`)).toEqual(["a", `${long.slice(1)} …`, `\n${long} …`]);
});

it("shows characters that hide or turn text", () => {
  expect(visible("a\u202Eb\u0000\tc\u200B")).toBe("a⟨202E⟩b⟨0000⟩\tc⟨200B⟩");
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

describe("without changes of white space", () => {
  const lines = (patch: string) =>
    withoutSpaces(parseHunks(patch)).flatMap(({ lines }) =>
      lines.map(({ kind, text, oldNumber, newNumber }) => `${kind} ${oldNumber} ${newNumber} ${text}`),
    );

  it("lines that were indented are shown as they are now, and counted in both states", () => {
    expect(lines("@@ -4,3 +4,4 @@\n a\n-b()\n-c()\n+if x:\n+  b()\n+  d()\n")).toEqual([
      ...["context 4 4 a", "add null 5 if x:", "context 5 6   b()", "delete 6 null c()", "add null 7   d()"],
    ]);
  });

  it("a hunk of them alone is left out", () => {
    expect(lines("@@ -1 +1 @@\n-a\n+ a\n@@ -9 +9 @@\n-b\n+c\n")).toEqual(["delete 9 null b", "add null 9 c"]);
  });
});
