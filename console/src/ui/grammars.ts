/** Reads code by the grammars of editors. Heavy, and slow on hostile code: only the worker uses it. */
import { createJavaScriptRegexEngine } from "@shikijs/engine-javascript";
import { codeToTokensBase, createShikiPrimitiveAsync } from "@shikijs/primitive";
import { addMark, type LineMarks, MARKS, type Mark } from "../text/marks";

/** A file each, loaded when code in it is first shown. C++ is read as C: its own grammar takes ten seconds to begin. */
const GRAMMARS = import.meta.glob<{ default: never }>(
  "/node_modules/@shikijs/langs/dist/{c,csharp,css,diff,docker,go,html,java,javascript,json,kotlin,make,markdown,php,python,rust,scss,shellscript,sql,swift,toml,tsx,typescript,xml,yaml}.mjs",
);

/** What counts as which mark; what is more specific wins, as in an editor's theme. */
const SCOPES: Record<Mark, string> = {
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
  plain: "keyword.operator punctuation.definition.string.template meta.template.expression",
};

/** A theme's colours stand for the marks: style sheets give them real ones, in two themes. */
const colourOf = (mark: Mark) => `#0000${MARKS.indexOf(mark).toString(16).padStart(2, "0")}`;

const THEME = {
  name: "marks",
  type: "light" as const,
  fg: colourOf("plain"),
  bg: "#ffffff",
  settings: Object.entries(SCOPES).map(([mark, scopes]) => ({
    scope: scopes.split(" "),
    settings: { foreground: colourOf(mark as Mark) },
  })),
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
  const load = GRAMMARS[`/node_modules/@shikijs/langs/dist/${language}.mjs`];
  if (!load) return null;
  const shiki = await reader;
  if (!shiki.getLoadedLanguages().includes(language)) await shiki.loadLanguage(load);
  const lines = codeToTokensBase(shiki, code, {
    lang: language,
    theme: THEME.name,
    tokenizeMaxLineLength: LONGEST_LINE,
    // The first line pays for all of the grammar; the page ends a worker that takes too long.
    tokenizeTimeLimit: 0,
  });
  return lines.map((tokens) => {
    const marks: number[] = [];
    for (const { content, color } of tokens)
      addMark(marks, content.length, Number.parseInt((color ?? "").slice(-2), 16) || 0);
    return marks;
  });
}
