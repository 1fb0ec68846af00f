/** Which grammar a file or a block of code is written in, by its name. Pure. */

/** By grammar: endings of files, and names of files without one. */
const ENDINGS: Record<string, string> = {
  c: "c cc cpp cxx h hpp",
  csharp: "cs",
  css: "css",
  diff: "diff patch",
  docker: "dockerfile",
  go: "go",
  html: "htm html",
  java: "java",
  javascript: "cjs js jsx mjs",
  json: "json jsonc webmanifest",
  kotlin: "kt kts",
  make: "makefile mk",
  markdown: "markdown md",
  php: "php",
  python: "py pyi",
  rust: "rs",
  scss: "scss",
  shellscript: "bash sh zsh",
  sql: "sql",
  swift: "swift",
  toml: "toml",
  tsx: "tsx",
  typescript: "cts mts ts",
  xml: "svg xml",
  yaml: "yaml yml",
};

/** What people write behind the fence of a block of code where that is no ending of a file. */
const NAMES: Record<string, string> = {
  c: "c++",
  go: "golang",
  javascript: "javascript",
  python: "python python3",
  rust: "rust",
  shellscript: "console shell",
  typescript: "typescript",
};

const turned = (table: Record<string, string>) =>
  new Map(
    Object.entries(table).flatMap(([grammar, words]) => words.split(" ").map((word) => [word, grammar])),
  );

const BY_ENDING = turned(ENDINGS);
const BY_NAME = turned(NAMES);

export const LANGUAGES: readonly string[] = Object.keys({ ...ENDINGS, ...NAMES });

/** Return the grammar of a file: by its ending, or by its whole name, as of `Makefile`. */
export function languageOfFile(path: string): string | null {
  const name = (path.split("/").at(-1) ?? "").toLowerCase();
  return BY_ENDING.get(name.slice(name.lastIndexOf(".") + 1)) ?? null;
}

/** Return the grammar of a block of code by the word behind its fence. */
export function languageOfFence(word: string): string | null {
  const name = word.toLowerCase();
  return BY_ENDING.get(name) ?? BY_NAME.get(name) ?? null;
}
