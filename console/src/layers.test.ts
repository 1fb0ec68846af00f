import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, it } from "vitest";

/** Each layer may use those before it. Pure ones stand first; nothing below `app` knows the whole. */
const LAYERS = ["text", "transcript", "api", "ui", "features", "app"];
/** Features that others may use; any other feature stands alone. */
const SHARED = ["project", "attachments", "questions", "attention"];
const ROOT = import.meta.dirname;
const MAX_LINES = 300;

const files = readdirSync(ROOT, { recursive: true, encoding: "utf8" })
  .filter((name) => /\.tsx?$/.test(name) && !/\.test\.tsx?$|schema\.d\.ts$/.test(name))
  .map((name) => ({ name, text: readFileSync(join(ROOT, name), "utf8") }));

function importsOf(name: string, text: string): string[] {
  const found = [...text.matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)];
  return found.map(([, path]) => relative(ROOT, join(ROOT, name, "..", path ?? "")));
}

describe("style sheets", () => {
  const sheets = readdirSync(ROOT, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".css"))
    .map((name) => ({
      name,
      text: readFileSync(join(ROOT, name), "utf8").replace(/\/\*.*?\*\/|:global\([^)]*\)|".*?"/gs, ""),
    }));
  const classesOf = (text: string) =>
    new Set([...text.matchAll(/\.([a-zA-Z][\w-]*)/g)].map(([, name]) => name));

  it.each(sheets.filter(({ name }) => name.endsWith(".module.css")))(
    "$name has what its parts use, and no more",
    (sheet) => {
      const users = files.filter(({ name, text }) => importsOf(name, text).includes(sheet.name));
      const uses = users.map(({ text }) => text).join("");
      const used = new Set([...uses.matchAll(/styles\.(\w+)/g)].map(([, name]) => name));
      const all = classesOf(sheet.text);
      expect([...used].filter((name) => !all.has(name))).toEqual([]);
      // The marks of code are named by a table.
      if (!/styles\[/.test(uses)) expect([...all].filter((name) => !used.has(name))).toEqual([]);
    },
  );

  it("share only classes that parts use", () => {
    const shared = sheets.find(({ name }) => name === "ui/base.css")?.text ?? "";
    const words = new Set(
      files.flatMap(({ text }) =>
        [...text.matchAll(/["'`]([a-z -]+)[ "'`$]/g)].flatMap(([, some]) => some?.split(" ")),
      ),
    );
    expect([...classesOf(shared)].filter((name) => !words.has(name))).toEqual([]);
  });
});

describe("the layers", () => {
  it.each(LAYERS.map((layer, rank) => [layer, rank] as const))(
    "%s uses only those below it",
    (layer, rank) => {
      const wrong = files
        .filter(({ name }) => name.startsWith(`${layer}/`))
        .flatMap(({ name, text }) => importsOf(name, text).map((path) => [name, path] as const))
        .filter(([, path]) => LAYERS.indexOf(path.split("/")[0] ?? "") > rank);
      expect(wrong).toEqual([]);
    },
  );

  it("keep features apart", () => {
    const wrong = files
      .filter(({ name }) => name.startsWith("features/"))
      .flatMap(({ name, text }) => importsOf(name, text).map((path) => [name, path] as const))
      .filter(([name, path]) => {
        const [, own] = name.split("/");
        const [layer, other = ""] = path.split("/");
        const isPart = own === "run" && (other === "changes" || other === "tasks");
        return layer === "features" && other !== own && !SHARED.includes(other) && !isPart;
      });
    expect(wrong).toEqual([]);
  });

  it("have small modules", () => {
    const long = files.filter(({ text }) => text.split("\n").length > MAX_LINES).map(({ name }) => name);
    expect(long).toEqual([]);
  });
});
