/** The field that finds a text in what is shown or would be, and the marks on what was found. */
import { ChevronDown, ChevronUp, X } from "lucide-react";
import { type RefObject, useEffect, useState } from "react";
import { classes } from "./classes";
import { IconButton, Input } from "./controls";
import styles from "./find.module.css";

const MOST_MARKS = 500;

interface Props {
  label: string;
  /** What a place is: a row or a line. */
  unit: string;
  className: string | undefined;
  field: RefObject<HTMLInputElement | null>;
  /** What has the places, marked by `data-row`. */
  content: RefObject<HTMLElement | null>;
  /** Return the names of the places that have a text in lower case, in their order. */
  find: (text: string) => readonly string[];
  /** Whether the last place is shown first: that is where the reader is. */
  isFromEnd?: boolean;
  onShow: (place: string | null) => void;
  onClose: () => void;
}

export function FindBar({ label, unit, className, field, content, find, isFromEnd, ...on }: Props) {
  const [text, setText] = useState("");
  const [place, setPlace] = useState<string | null>(null);
  const wanted = text.trim().toLowerCase();
  const found = wanted ? find(wanted) : [];
  const at = found.indexOf(place ?? "");
  const show = (next: string | null) => {
    setPlace(next);
    on.onShow(next);
  };
  const go = (to: number) => show(found[(to + found.length) % found.length] ?? null);
  const next = isFromEnd ? -1 : 1;
  useMarkedText(content, wanted);
  return (
    <search className={classes("row", className)}>
      <Input
        ref={field}
        aria-label={label}
        placeholder={label}
        value={text}
        onChange={({ target: { value } }) => {
          setText(value);
          const all = value.trim() ? find(value.trim().toLowerCase()) : [];
          show(all.at(isFromEnd ? -1 : 0) ?? null);
        }}
        onKeyDown={(event) => {
          if (event.key === "Escape") on.onClose();
          else if (event.key === "Enter") go(at + (event.shiftKey ? -next : next));
          else return;
          event.preventDefault();
        }}
      />
      <span className={classes("small dim fixed", styles.found)} role="status">
        {found.length
          ? `${at < 0 ? "–" : at + 1} of ${found.length} ${unit}s`
          : wanted && label.replace("Find", "Not")}
      </span>
      <IconButton label="Find before" onClick={() => go(at - 1)} icon={ChevronUp} />
      <IconButton label="Find after" onClick={() => go(at + 1)} icon={ChevronDown} />
      <IconButton label="End the search" onClick={on.onClose} icon={X} />
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
      CSS.highlights.set("found", new Highlight(...rangesOf(element, text)));
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
    // What is counted: the end of the run is no row.
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
