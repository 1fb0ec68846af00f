/** The field that finds a text in the transcript, and the marks on what was found. */
import { ChevronDown, ChevronUp, X } from "lucide-react";
import { createContext, type RefObject, useContext, useEffect, useState } from "react";
import { findRows } from "../../transcript/find";
import type { Row } from "../../transcript/rows";
import { classes } from "../../ui/classes";
import { IconButton, Input } from "../../ui/controls";
import styles from "./transcript.module.css";

/** The row that was found last: it shows what it else folds. */
const FoundRow = createContext<string | null>(null);
export const FoundProvider = FoundRow.Provider;
export const useIsFound = (id: string): boolean => useContext(FoundRow) === id;

const MOST_MARKS = 500;

interface Props {
  field: RefObject<HTMLInputElement | null>;
  rows: readonly Row[];
  content: RefObject<HTMLElement | null>;
  onShow: (index: number) => void;
  onClose: () => void;
}

export function FindBar({ field, rows, content, onShow, onClose }: Props) {
  const [text, setText] = useState("");
  const [row, setRow] = useState<string | null>(null);
  const found = findRows(rows, text);
  const at = found.findIndex((index) => rows[index]?.id === row);
  const go = (to: number) => {
    const index = found[(to + found.length) % found.length];
    if (index === undefined) return;
    setRow(rows[index]?.id ?? null);
    onShow(index);
  };
  useMarkedText(content, text.trim());
  return (
    <search className={classes("row", styles.find)}>
      <Input
        ref={field}
        aria-label="Find in the transcript"
        placeholder="Find in the transcript"
        value={text}
        onChange={({ target }) => {
          setText(target.value);
          // The newest first: that is where the reader is.
          const last = findRows(rows, target.value).at(-1);
          setRow(last === undefined ? null : (rows[last]?.id ?? null));
          if (last !== undefined) onShow(last);
        }}
        onKeyDown={(event) => {
          if (event.key === "Escape") onClose();
          else if (event.key === "Enter") go(event.shiftKey ? at + 1 : at - 1);
          else return;
          event.preventDefault();
        }}
      />
      <span className={classes("small dim fixed", styles.found)} role="status">
        {found.length ? `${at < 0 ? "–" : at + 1} of ${found.length} rows` : text.trim() && "Not found"}
      </span>
      <IconButton label="Find before" onClick={() => go(at - 1)} icon={ChevronUp} />
      <IconButton label="Find after" onClick={() => go(at + 1)} icon={ChevronDown} />
      <IconButton label="End the search" onClick={onClose} icon={X} />
    </search>
  );
}

/** Mark a text in what is drawn, without a change of it: rows come and go while a reader scrolls. */
function useMarkedText(content: RefObject<HTMLElement | null>, text: string): void {
  useEffect(() => {
    const element = content.current;
    // An older browser finds, and marks nothing.
    if (!element || !text || !CSS.highlights) return;
    let frame = 0;
    const mark = () => {
      frame = 0;
      CSS.highlights.set("found", new Highlight(...rangesOf(element, text.toLowerCase())));
    };
    const again = () => {
      frame ||= requestAnimationFrame(mark);
    };
    mark();
    const changes = new MutationObserver(again);
    changes.observe(element, { childList: true, characterData: true, subtree: true });
    return () => {
      changes.disconnect();
      cancelAnimationFrame(frame);
      CSS.highlights.delete("found");
    };
  }, [content, text]);
}

function rangesOf(element: HTMLElement, text: string): Range[] {
  const ranges: Range[] = [];
  const nodes = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let node = nodes.nextNode(); node && ranges.length < MOST_MARKS; node = nodes.nextNode()) {
    // What is counted: the text of the task, and the end of the run, are no rows.
    if (!node.parentElement?.closest("[data-row]")) continue;
    const within = node.nodeValue?.toLowerCase() ?? "";
    for (let at = within.indexOf(text); at >= 0; at = within.indexOf(text, at + text.length)) {
      // Lower case may be longer than what it is of.
      if (at + text.length > (node.nodeValue?.length ?? 0)) break;
      const range = new Range();
      range.setStart(node, at);
      range.setEnd(node, at + text.length);
      ranges.push(range);
    }
  }
  return ranges;
}
