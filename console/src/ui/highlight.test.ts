import { describe, expect, it, vi } from "vitest";
import { CORPUS } from "../../e2e/corpus";
import { languageOfFence, languageOfFile, NAMES } from "../text/languages";
import { piecesOf } from "../text/marks";
import { markCode } from "./grammars";

// Grammars are large, and machines may be slow.
vi.setConfig({ testTimeout: 30_000 });

const marked = async (language: string, code: string) => {
  const lines = (await markCode(language, code)) ?? [];
  return code.split("\n").map((text, index) => piecesOf(text, lines[index]));
};

describe("grammars", () => {
  it("mark keywords, names, texts and comments", async () => {
    const [line] = await marked("python", 'def greet(name): return "Hello"  # politely');
    const found = new Map(line?.map(({ text, mark }) => [text.trim(), mark]));
    expect(found.get("def")).toBe("keyword");
    expect(found.get("greet")).toBe("function");
    expect(found.get('"Hello"')).toBe("string");
    expect(found.get("# politely")).toBe("comment");
  });

  it("know what a line is inside of a text that began above", async () => {
    const lines = await marked("python", '"""First\nsecond\n"""\nx = 1');
    expect(lines[1]).toEqual([{ text: "second", mark: "string", isChanged: false }]);
    expect(lines[3]?.some(({ mark }) => mark === "string")).toBe(false);
  });

  it.each(Object.keys(NAMES))("exist for %s, and change no text", async (language) => {
    const code = CORPUS.slice(0, 6).join("\n");
    const lines = await marked(language, code);
    expect(lines.map((line) => line.map(({ text }) => text).join("")).join("\n")).toBe(code);
    expect(await markCode(language, "a")).not.toBeNull();
  });

  it("do not exist for other words", async () => {
    expect(await markCode("toString", "a")).toBeNull();
  });
});

describe("the language", () => {
  it.each([
    ["app/main.py", "python"],
    ["Makefile", "make"],
    ["deploy/Dockerfile", "docker"],
    ["a.b/README", null],
    ["x.constructor", null],
    ["src/App.TSX", "tsx"],
  ])("of %s is %s", (path, language) => expect(languageOfFile(path)).toBe(language));

  it.each([
    ["python", "python"],
    ["sh", "shellscript"],
    ["c++", "c"],
    ["toString", null],
  ])("behind a fence %s is %s", (word, language) => expect(languageOfFence(word)).toBe(language));
});

describe("pieces of a line", () => {
  it("keep the whole text, whatever the marks say", () => {
    const pieces = (text: string, marks: number[]) =>
      piecesOf(text, marks).map(({ text, mark }) => [text, mark]);
    expect(pieces("abcdef", [2, 1, 1, 99])).toEqual([
      ["ab", "comment"],
      ["c", "plain"],
      ["def", "plain"],
    ]);
    expect(pieces("ab", [5, 2, 5, 3])).toEqual([["ab", "string"]]);
    expect(pieces("ab", [-1, 2])).toEqual([["ab", "plain"]]);
  });
});
