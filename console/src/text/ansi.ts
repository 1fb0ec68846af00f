/** Terminal output as styled spans. Everything but colours and weights is dropped: no sequence may move or hide text. */

export interface Span {
  text: string;
  /** Names of classes, such as `fg-1` or `bold`; never a style that the output chose. */
  classes: string[];
}

interface Style {
  foreground: number | null;
  background: number | null;
  flags: Set<string>;
}

// CSI, OSC (also unended), other escapes, and control characters that terminals obey.
const SEQUENCE =
  /\u001b\[([0-?]*)[ -/]*([@-~])|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\|$)|\u001b[PX^_][^\u001b]*(?:\u001b\\|$)|\u001b[ -/]*[0-~]?|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g;
const FLAGS: Record<number, string> = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 9: "strike" };

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
  const style: Style = { foreground: null, background: null, flags: new Set() };
  let from = 0;
  for (const match of text.matchAll(SEQUENCE)) {
    push(spans, text.slice(from, match.index), style);
    from = match.index + match[0].length;
    if (match[2] === "m") applyCodes(style, (match[1] ?? "").split(/[;:]/).map(Number));
  }
  push(spans, text.slice(from), style);
  return spans;
}

function push(spans: Span[], text: string, style: Style): void {
  if (!text) return;
  const classes = [...style.flags];
  if (style.foreground !== null) classes.push(`fg-${style.foreground}`);
  if (style.background !== null) classes.push(`bg-${style.background}`);
  const last = spans.at(-1);
  if (last && last.classes.join() === classes.join()) last.text += text;
  else spans.push({ text, classes });
}

function applyCodes(style: Style, codes: number[]): void {
  for (let index = 0; index < codes.length; index += 1) {
    const code = codes[index] ?? 0;
    if (code === 0) {
      style.foreground = null;
      style.background = null;
      style.flags.clear();
    } else if (FLAGS[code]) style.flags.add(FLAGS[code]);
    else if (code === 22) for (const flag of ["bold", "dim"]) style.flags.delete(flag);
    else if (code >= 23 && code <= 29) style.flags.delete(FLAGS[code - 20] ?? "");
    else if (code >= 30 && code <= 37) style.foreground = code - 30;
    else if (code === 39) style.foreground = null;
    else if (code >= 40 && code <= 47) style.background = code - 40;
    else if (code === 49) style.background = null;
    else if (code >= 90 && code <= 97) style.foreground = code - 82;
    else if (code >= 100 && code <= 107) style.background = code - 92;
    else if (code === 38 || code === 48) {
      // Only the sixteen named colours have a readable shade in both themes.
      const isIndexed = codes[index + 1] === 5;
      const colour = codes[index + 2] ?? 0;
      if (isIndexed && colour < 16) style[code === 38 ? "foreground" : "background"] = colour;
      index += isIndexed ? 2 : 4;
    }
  }
}
