/** What a text of markdown is made of. Pure. */

/** Definitions of links and footnotes count for the whole text. */
const DEFINITION = /^ {0,3}\[[^\]\n]+\]:/m;

/**
 * Split before paragraphs that stand outside of blocks of code, so that only the last piece is read again. `blocks` are
 * markdown by themselves; all but the last stay as they are while the text grows. `code` stands in a block of code that
 * has not ended, null if there is none; `fence` would end it.
 */
export function partsOf(text: string, isOpen: boolean) {
  if (!isOpen && DEFINITION.test(text)) return { blocks: [text], code: null, fence: "" };
  const blocks: string[] = [];
  let fence = "";
  let from = 0;
  let offset = 0;
  let fenceAt = 0;
  for (const line of text.split("\n")) {
    const [mark = ""] = /^ {0,3}(?:`{3,}(?=[^`]*$)|~{3,})/.exec(line) ?? [];
    if (!fence && mark) {
      fence = mark;
      fenceAt = offset;
    } else if (fence && mark.trim().startsWith(fence.trim()) && line.trim() === mark.trim()) fence = "";
    offset += line.length + 1;
    // A list or a quotation may go on after an empty line.
    if (!fence && line === "" && /^[^\s\-*+>\d|]/.test(text.slice(offset, offset + 1))) {
      blocks.push(text.slice(from, offset));
      from = offset;
    }
  }
  const isCode = isOpen && fence !== "";
  const end = isCode ? fenceAt : text.length;
  if (end > from) blocks.push(text.slice(from, end));
  return { blocks, code: isCode ? text.slice(fenceAt).replace(/^.*\n?/, "") : null, fence };
}

/** End the block of code that a text leaves open: what is put behind it is no part of that. */
export function closed(text: string): string {
  const { code, fence } = partsOf(text, true);
  return code === null ? text : `${text}\n${fence}`;
}
