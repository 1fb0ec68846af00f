import { describe, expect, it } from "vitest";
import { diffTexts } from "../../text/lineDiff";
import { type DiffLine, type Hunk, wholeOf } from "../../text/patch";
import { isAbout, placeOf, standingOf } from "./range";
import type { ShownComment } from "./review";

const SIGNS = { add: "+", delete: "-", context: " " } as const;
const split = (text: string) => text.split(" ");
const diff = (before: string, after: string) => diffTexts(split(before).join("\n"), split(after).join("\n"));
const whole = (hunks: Hunk[], before: string) => wholeOf(hunks, split(before));
const signed = (hunks: readonly Hunk[]) =>
  hunks.flatMap(({ lines }) => lines.map(({ kind, text }) => SIGNS[kind] + text));
/** The lines of a diff from one to another, as they are written with their signs. */
function linesAt(hunks: readonly Hunk[], on: string) {
  const [first = "", last = first] = on.split("…");
  const all = hunks.flatMap(({ lines }) => lines);
  const signs = signed(hunks);
  return all.slice(signs.indexOf(first), signs.indexOf(last) + 1);
}

const commentOn = (hunks: readonly Hunk[], on: string): ShownComment => ({
  ...{ id: "1", path: "x", text: "Why?", created_at: null, message_id: "m", resolved: false, sent: "Sent" },
  ...placeOf(linesAt(hunks, on), hunks),
});

const BASE = "a b c d e f g h";

/** A file at the base, after the run that a comment was made on, and after the one that continues it. */
interface Case {
  base?: string;
  first: string;
  on: string;
  second: string;
  /** Where the comment stands in the second run's own changes, and in the whole branch; behind "was", other lines stand there. */
  own: string;
  branch: string;
}

const CASES: Record<string, Case> = {
  "a removed line, which stands removed in the whole branch": {
    ...{ first: "a b d e f g h", on: "-c", second: "a b d e f G h" },
    ...{ own: "", branch: "-c" },
  },
  "removed lines, which the second run brings back": {
    ...{ first: "a b e f g h", on: "-c…-d", second: "a b c d e f g h i" },
    ...{ own: "+c +d", branch: " c  d" },
  },
  "a removed line, which the second run brings back below others": {
    ...{ first: "a b d e f g h", on: "-c", second: "1 2 3 a b c d e f g h", own: "+c", branch: " c" },
  },
  "a range of removed and added lines": {
    ...{ first: "a b X Y e f g h", on: "-c…+X", second: "a b X Y e f g H" },
    ...{ own: " X", branch: "-c -d +X" },
  },
  "a range that ends with a removed line": {
    ...{ first: "a b d e f g h", on: " b…-c", second: "a b d e f g H" },
    ...{ own: " b", branch: " b -c" },
  },
  "a range that ends with a removed line, behind which the second run removes more": {
    ...{ first: "a b d e f g h", on: " b…-c", second: "a b e f g h" },
    ...{ own: " b", branch: " b -c" },
  },
  "an added line, before which others are added": {
    ...{ first: "a b c X d e f g h", on: "+X", second: "a b c new X d e f g h" },
    ...{ own: " X", branch: "+X" },
  },
  "an added line, behind which others are added": {
    ...{ first: "a b c X d e f g h", on: "+X", second: "a b c X new more d e f g h" },
    ...{ own: " X", branch: "+X" },
  },
  "a range, behind which a line is added": {
    ...{ first: "a b c X Y d e f g h", on: "+X…+Y", second: "a b c X Y new d e f g h" },
    ...{ own: " X  Y", branch: "+X +Y" },
  },
  "a range, into which a line is added": {
    ...{ first: "a b c X Y d e f g h", on: "+X…+Y", second: "a b c X new Y d e f g h" },
    ...{ own: " X  Y", branch: "+X +Y" },
  },
  "a line that is replaced": {
    ...{ first: "a b c X d e f g h", on: "+X", second: "a b c Z d e f g h" },
    ...{ own: "was -X +Z", branch: "was +Z" },
  },
  "a line that is replaced, behind which others are added": {
    ...{ first: "a b c X d e f g h", on: "+X", second: "a b c Z new more d e f g h" },
    ...{ own: "was -X +Z", branch: "was +Z" },
  },
  "one of the lines that are replaced": {
    ...{ first: "a b c X Y Z d e f g h", on: "+Y", second: "a b c 1 2 3 d e f g h" },
    ...{ own: "was -Y +2", branch: "was +2" },
  },
  "a range, of which one line is replaced": {
    ...{ first: "a b c X Y d e f g h", on: "+X…+Y", second: "a b c X 2 d e f g h" },
    ...{ own: "was  X -Y +2", branch: "was +X +2" },
  },
  "a line that is removed": {
    ...{ first: "a b c X d e f g h", on: "+X", second: "a b c d e f g h i" },
    ...{ own: "-X", branch: "" },
  },
  "a line of the base that the second run removes": {
    ...{ first: "a b c X d e f g h", on: " d", second: "a b c X e f g h" },
    ...{ own: "-d", branch: "" },
  },
  "a line that others above have moved": {
    ...{ first: "a b c X d e f g h", on: "+X", second: "1 2 3 4 a b c X d e f g h" },
    ...{ own: " X", branch: "+X" },
  },
  "one of the same lines, which others above have moved to where another one was": {
    ...{ first: "a x b x c x d e f g h", on: "+x…+x", second: "1 2 a x b x c x d e f g h" },
    ...{ own: " x", branch: "+x" },
  },
  "a line in a gap of the second run's changes": {
    ...{ base: `${BASE} i j k l m n`, first: "A b c d e f g h i j k l m n", on: "+A" },
    ...{ second: "A b c d e f g h i j k l m N", own: " A", branch: "+A" },
  },
  "a line of a file that the second run leaves as it was": {
    ...{ first: "a b c X d e f g h", on: "+X", second: "a b c X d e f g h" },
    ...{ own: "", branch: "+X" },
  },
};

const at = (lines: readonly DiffLine[], comment: ShownComment) =>
  lines.length > 0 && !isAbout(lines, comment) ? `was ${linesOf(lines)}` : linesOf(lines);
const linesOf = (lines: readonly DiffLine[]) => lines.map(({ kind, text }) => SIGNS[kind] + text).join(" ");

describe("a comment on the run before stands", () => {
  it.each(Object.entries(CASES))("at %s", (_, { base = BASE, first, on, second, own, branch }) => {
    const [made, next, all] = [diff(base, first), diff(first, second), diff(base, second)];
    const comment = { ...commentOn(made, on), isEarlier: true };
    const later = first === second ? [] : whole(next, first);
    expect(at(standingOf(later, comment, null), comment)).toBe(own);
    expect(at(standingOf(whole(all, base), comment, next), comment)).toBe(branch);
    // As long as the rest of the file is not known, it stands there, or nowhere.
    expect([own, ""]).toContain(at(standingOf(next, comment, null), comment));
  });
});

/** A file at the base, when a comment was made while the run was live, and later in the same run. */
const LIVE: Record<string, Pick<Case, "base" | "first" | "on" | "second"> & { there: string }> = {
  "a line that others above have moved": {
    ...{ first: "a b c X d e f g h", on: "+X", second: "1 2 a b c X d e f g h", there: "+X" },
  },
  "one of the same lines, which others above have moved to where another one was": {
    ...{ first: "a x b x c x d", on: "+x", base: "a b x c x d" },
    ...{ second: "1 x a x b x c x d", there: "+x" },
  },
  "a line that is replaced": {
    ...{ first: "a b c X d e f g h", on: "+X", second: "1 a b c Z d e f g h", there: "was +Z" },
  },
  "a line that is replaced, whose like stands elsewhere": {
    ...{ first: "a b c X d e f X g h", on: "+X", second: "a b c Z d e f X g h", there: "was +Z" },
  },
  "a line that is removed with those around it, whose like stands elsewhere twice": {
    ...{ first: "a b c X d e f X g X h", on: "+X", second: "a b e f X g X h", there: "" },
  },
  "one of the same lines, before which one is added": {
    ...{ first: "a b c X d e f X g h", on: "+X", second: "1 2 a b c new X d e f X g h", there: "+X" },
  },
  "lines that are replaced by more": {
    ...{ first: "a b c X Y d e f g h", on: "+X…+Y", second: "a b c 1 2 3 d e f g h", there: "was +1 +2" },
  },
  "a line that is removed": {
    ...{ first: "a b c X d e f g h", on: "+X", second: "a b c d e f g h i", there: "" },
  },
  "a line of which those around are changed, too": {
    ...{ first: "a b c X d e f g h", on: "+X", second: "a b 1 Z 2 e f g h", there: "" },
  },
  "a removed line": {
    ...{ first: "a b d e f g h", on: "-c", second: "1 2 a b d e f g h", there: "-c" },
  },
  "a removed line that is there again": {
    ...{ first: "a b d e f g h", on: "-c", second: "1 2 a b c d e f g h", there: " c" },
  },
  "a range of removed and added lines": {
    ...{ first: "a b X Y e f g h", on: "-c…+Y", second: "1 2 a b X Y e f g h", there: "-c -d +X +Y" },
  },
  "a line before which one is added": {
    ...{ first: "a b c X d e f g h", on: "+X", second: "a b c new X d e f g h", there: "+X" },
  },
  "a line behind which one is added": {
    ...{ first: "a b c X d e f g h", on: "+X", second: "a b c X new d e f g h", there: "+X" },
  },
};

describe("a comment that was made while the run was live stands", () => {
  it.each(Object.entries(LIVE))("at %s", (_, { base = BASE, first, on, second, there }) => {
    const comment = commentOn(whole(diff(base, first), base), on);
    expect(at(standingOf(whole(diff(base, second), base), comment, null), comment)).toBe(there);
  });

  it("at its own number, between other lines than another one of the same", () => {
    const comment = commentOn(whole(diff(BASE, "a b c X d e f X g h"), BASE), "+X");
    const [line] = standingOf(whole(diff(BASE, "1 2 a b c new X d e f X g h"), BASE), comment, null);
    expect(line?.newNumber).toBe(7);
  });

  it("at the same lines, whatever its run is compared with", () => {
    const comment = commentOn(diff(BASE, "a b X Y e f g h"), " b…+X");
    const others = diff("a X e f g h", "a b X Y e f g h");
    expect(at(standingOf(others, comment, null), comment)).toBe("+b  X");
  });
});
