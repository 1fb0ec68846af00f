/** Terminal output as styled spans. Everything but colours and weights is dropped: no sequence may move or hide text. */

/** By property; never a value that the output chose. */
export type Style = Readonly<Record<string, string>>;

export interface Span {
  text: string;
  style: Style;
}

// CSI, OSC (also unended), other escapes, and control characters that terminals obey.
const SEQUENCE =
  /\u001b\[([0-?]*)[ -/]*([@-~])|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\|$)|\u001b[PX^_][^\u001b]*(?:\u001b\\|$)|\u001b[ -/]*[0-~]?|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g;
const FLAGS: Record<number, Style> = {
  1: { fontWeight: "700" },
  2: { color: "var(--text-3)" },
  3: { fontStyle: "italic" },
  4: { textDecoration: "underline" },
  9: { textDecoration: "line-through" },
};
/** The colours of letters, and of what is behind them; they count more than flags. */
const [LETTERS, GROUND] = [30, 40];

/** Return the lines that a terminal would show in the end: a carriage return begins a line again. */
function overwrite(text: string): string {
  if (!text.includes("\r")) return text;
  return text
    .replace(/\r+\n/g, "\n")
    .split("\n")
    .map((line) => line.slice(line.lastIndexOf("\r", line.length - 2) + 1).replace(/\r$/, ""))
    .join("\n");
}

export function parseAnsi(raw: string): Span[] {
  const text = overwrite(raw);
  const spans: Span[] = [];
  /** By the code that began it. */
  const styles: Record<number, Style> = {};
  let from = 0;
  for (const match of text.matchAll(SEQUENCE)) {
    push(spans, text.slice(from, match.index), styles);
    from = match.index + match[0].length;
    if (match[2] === "m") applyCodes(styles, (match[1] ?? "").split(/[;:]/).map(Number));
  }
  push(spans, text.slice(from), styles);
  return spans;
}

function push(spans: Span[], text: string, styles: Record<number, Style>): void {
  if (!text) return;
  const style = Object.assign({}, ...Object.values(styles));
  const last = spans.at(-1);
  if (last && JSON.stringify(last.style) === JSON.stringify(style)) last.text += text;
  else spans.push({ text, style });
}

function applyCodes(styles: Record<number, Style>, codes: number[]): void {
  const end = (...began: number[]) => {
    for (const code of began) delete styles[code];
  };
  const colour = (place: number, number: number) => {
    // Bright ones are the same: a shade that can be read in both themes has no brighter one.
    const value = `var(--ansi-${number % 8})`;
    const behind = { background: `color-mix(in srgb, ${value} 18%, transparent)` };
    styles[place] = place === LETTERS ? { color: value } : behind;
  };
  for (let index = 0; index < codes.length; index += 1) {
    const code = codes[index] ?? 0;
    if (code === 0) end(...Object.keys(styles).map(Number));
    else if (FLAGS[code]) styles[code] = FLAGS[code];
    else if (code === 22) end(1, 2);
    else if (code >= 23 && code <= 29) end(code - 20);
    else if (code === 38 || code === 48) {
      // Only the sixteen named colours have a readable shade in both themes.
      const isIndexed = codes[index + 1] === 5;
      const number = codes[index + 2] ?? 0;
      if (isIndexed && number < 16) colour(code - 8, number);
      index += isIndexed ? 2 : 4;
    } else if (code === 39 || code === 49) end(code - 9);
    else if (code >= 30 && code <= 47) colour(code < GROUND ? LETTERS : GROUND, code % 10);
    else if (code >= 90 && code <= 107) colour(code < 100 ? LETTERS : GROUND, code % 10);
  }
}
