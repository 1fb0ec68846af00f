/** Which grammar a file or a block of code is written in, by its name. Pure. */

/** By grammar: endings of files, names of files without one, and what people write behind a fence. */
export const NAMES: Record<string, string> = {
  c: "c cc cpp cxx h hpp c++",
  csharp: "cs",
  css: "css",
  diff: "diff patch",
  docker: "dockerfile",
  go: "go golang",
  html: "htm html",
  java: "java",
  javascript: "cjs js jsx mjs javascript",
  json: "json jsonc webmanifest",
  kotlin: "kt kts",
  make: "makefile mk",
  markdown: "markdown md",
  php: "php",
  python: "py pyi python python3",
  rust: "rs rust",
  scss: "scss",
  shellscript: "bash sh zsh console shell",
  sql: "sql",
  swift: "swift",
  toml: "toml",
  tsx: "tsx",
  typescript: "cts mts ts typescript",
  xml: "svg xml",
  yaml: "yaml yml",
};

const GRAMMARS = new Map(
  Object.entries(NAMES).flatMap(([grammar, words]) => words.split(" ").map((word) => [word, grammar])),
);

/** Return the grammar of a file: by its ending, or by its whole name, as of `Makefile`. */
export const languageOfFile = (path: string) => languageOfFence(/[^./]*$/.exec(path)?.[0] ?? "");

/** Return the grammar of a block of code by the word behind its fence. */
export const languageOfFence = (word: string): string | null => GRAMMARS.get(word.toLowerCase()) ?? null;
