/** Reads code by the grammars of editors. Heavy, and slow on hostile code: only the worker uses it. */
import { createJavaScriptRegexEngine } from "@shikijs/engine-javascript";
import { codeToTokensBase, createShikiPrimitiveAsync } from "@shikijs/primitive";
import { type LineMarks, MARKS, type Mark } from "../text/marks";

const GRAMMARS = {
  // C++ too: its own grammar takes ten seconds to begin.
  c: () => import("@shikijs/langs/c"),
  csharp: () => import("@shikijs/langs/csharp"),
  css: () => import("@shikijs/langs/css"),
  diff: () => import("@shikijs/langs/diff"),
  docker: () => import("@shikijs/langs/docker"),
  dotenv: () => import("@shikijs/langs/dotenv"),
  go: () => import("@shikijs/langs/go"),
  graphql: () => import("@shikijs/langs/graphql"),
  hcl: () => import("@shikijs/langs/hcl"),
  html: () => import("@shikijs/langs/html"),
  ini: () => import("@shikijs/langs/ini"),
  java: () => import("@shikijs/langs/java"),
  javascript: () => import("@shikijs/langs/javascript"),
  json: () => import("@shikijs/langs/json"),
  kotlin: () => import("@shikijs/langs/kotlin"),
  lua: () => import("@shikijs/langs/lua"),
  make: () => import("@shikijs/langs/make"),
  markdown: () => import("@shikijs/langs/markdown"),
  php: () => import("@shikijs/langs/php"),
  proto: () => import("@shikijs/langs/proto"),
  python: () => import("@shikijs/langs/python"),
  ruby: () => import("@shikijs/langs/ruby"),
  rust: () => import("@shikijs/langs/rust"),
  scss: () => import("@shikijs/langs/scss"),
  shellscript: () => import("@shikijs/langs/shellscript"),
  sql: () => import("@shikijs/langs/sql"),
  swift: () => import("@shikijs/langs/swift"),
  toml: () => import("@shikijs/langs/toml"),
  tsx: () => import("@shikijs/langs/tsx"),
  typescript: () => import("@shikijs/langs/typescript"),
  vue: () => import("@shikijs/langs/vue"),
  xml: () => import("@shikijs/langs/xml"),
  yaml: () => import("@shikijs/langs/yaml"),
};

/** What counts as which mark; what is more specific wins, as in an editor's theme. */
const SCOPES: Record<Exclude<Mark, "plain">, string> = {
  comment: "comment punctuation.definition.comment meta.diff.header markup.quote",
  string: "string markup.inserted markup.inline.raw markup.fenced_code",
  number: "constant.numeric constant.language constant.character constant.other support.constant",
  keyword:
    "keyword storage variable.language keyword.operator.new keyword.operator.expression keyword.operator.logical.python markup.heading entity.name.section markup.deleted",
  function: "entity.name.function support.function meta.function-call.generic",
  type: "entity.name.type entity.name.class entity.other.inherited-class support.type support.class",
  tag: "entity.name.tag",
  attribute:
    "entity.other.attribute-name support.type.property-name meta.object-literal.key variable.parameter.function-call",
};
const PLAIN = ["keyword.operator", "punctuation.definition.string.template", "meta.template.expression"];

/** A theme's colours stand for the marks: style sheets give them real ones, in two themes. */
const colourOf = (mark: Mark) => `#0000${MARKS.indexOf(mark).toString(16).padStart(2, "0")}`;

const THEME = {
  name: "marks",
  type: "light" as const,
  fg: colourOf("plain"),
  bg: "#ffffff",
  settings: [
    ...Object.entries(SCOPES).map(([mark, scopes]) => ({
      scope: scopes.split(" "),
      settings: { foreground: colourOf(mark as Mark) },
    })),
    { scope: PLAIN, settings: { foreground: colourOf("plain") } },
  ],
};

// A longer line is data.
const LONGEST_LINE = 2000;

const reader = createShikiPrimitiveAsync({
  themes: [THEME],
  langs: [],
  engine: createJavaScriptRegexEngine({ forgiving: true }),
});

/** Return the marks of each line; null for a language without a grammar. */
export async function markCode(language: string, code: string): Promise<LineMarks[] | null> {
  if (!Object.hasOwn(GRAMMARS, language)) return null;
  const shiki = await reader;
  if (!shiki.getLoadedLanguages().includes(language)) {
    await shiki.loadLanguage(GRAMMARS[language as keyof typeof GRAMMARS]);
  }
  const lines = codeToTokensBase(shiki, code, {
    lang: language,
    theme: THEME.name,
    tokenizeMaxLineLength: LONGEST_LINE,
    // The first line pays for all of the grammar; the page ends a worker that takes too long.
    tokenizeTimeLimit: 0,
  });
  return lines.map((tokens) => {
    const marks: number[] = [];
    for (const { content, color } of tokens) {
      const mark = Number.parseInt((color ?? "").slice(-2), 16) || 0;
      if (marks.at(-1) === mark) marks[marks.length - 2] = (marks[marks.length - 2] ?? 0) + content.length;
      else marks.push(content.length, mark);
    }
    return marks;
  });
}
