/** Which grammar a file or a block of code is written in, by its name. Pure. */

const BY_ENDING: Record<string, string> = {
  bash: "shellscript",
  c: "c",
  cc: "c",
  cjs: "javascript",
  cpp: "c",
  cs: "csharp",
  css: "css",
  cts: "typescript",
  cxx: "c",
  diff: "diff",
  dockerfile: "docker",
  env: "dotenv",
  go: "go",
  gql: "graphql",
  graphql: "graphql",
  h: "c",
  hcl: "hcl",
  hpp: "c",
  htm: "html",
  html: "html",
  ini: "ini",
  java: "java",
  js: "javascript",
  json: "json",
  jsonc: "json",
  jsx: "javascript",
  kt: "kotlin",
  kts: "kotlin",
  lua: "lua",
  makefile: "make",
  markdown: "markdown",
  md: "markdown",
  mjs: "javascript",
  mk: "make",
  mts: "typescript",
  patch: "diff",
  php: "php",
  proto: "proto",
  py: "python",
  pyi: "python",
  rb: "ruby",
  rs: "rust",
  scss: "scss",
  sh: "shellscript",
  sql: "sql",
  svg: "xml",
  swift: "swift",
  tf: "hcl",
  toml: "toml",
  ts: "typescript",
  tsx: "tsx",
  vue: "vue",
  webmanifest: "json",
  xml: "xml",
  yaml: "yaml",
  yml: "yaml",
  zsh: "shellscript",
};

/** What people write behind the fence of a block of code where that is no ending of a file. */
const BY_NAME: Record<string, string> = {
  "c++": "c",
  console: "shellscript",
  golang: "go",
  javascript: "javascript",
  python: "python",
  python3: "python",
  ruby: "ruby",
  rust: "rust",
  shell: "shellscript",
  typescript: "typescript",
};

export const LANGUAGES: readonly string[] = [...new Set(Object.values({ ...BY_ENDING, ...BY_NAME }))];

const own = (table: Record<string, string>, key: string): string | null =>
  Object.hasOwn(table, key) ? (table[key] ?? null) : null;

/** Return the grammar of a file: by its ending, or by its whole name, as of `Makefile`. */
export function languageOfFile(path: string): string | null {
  const name = (path.split("/").at(-1) ?? "").toLowerCase();
  return own(BY_ENDING, name.slice(name.lastIndexOf(".") + 1));
}

/** Return the grammar of a block of code by the word behind its fence. */
export function languageOfFence(word: string): string | null {
  const name = word.toLowerCase();
  return own(BY_ENDING, name) ?? own(BY_NAME, name);
}
