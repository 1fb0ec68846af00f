/** The field that finds a text in what is shown or would be, and the marks on what was found. */
import { ChevronDown, ChevronUp, X } from "lucide-react";
import { type RefObject, useEffect, useRef, useState } from "react";
import { flushSync } from "react-dom";
import { classes } from "./classes";
import { Button, IconButton, Input } from "./controls";
import styles from "./find.module.css";

const MOST_MARKS = 500;

interface Searched {
  where: string;
  /** What a place is: a row or a line. */
  unit: string;
  className: string | undefined;
  /** What has the places, marked by `data-row`, in what scrolls them. */
  content: RefObject<HTMLElement | null>;
  /** Return the names of the places that have a text in lower case, in their order. */
  find: (text: string) => readonly string[];
  /** Whether the last place is shown first: that is where the reader is. */
  isFromEnd?: boolean;
  onBegin?: (() => void) | undefined;
  onShow: (place: string | null) => void;
}

/** What can be searched on the page now, and how that begins. */
const all = new Set<RefObject<Searched & { begin: (text: string) => void }>>();

/** Return how to begin a search, and its field while there is one. */
export function useFind(searched: Searched) {
  const { content, onBegin, onShow } = searched;
  const [first, setFirst] = useState<string | null>(null);
  const field = useRef<HTMLInputElement>(null);
  const begin = (text: string) => {
    // What is not shown takes no focus, and the letters typed next would be commands.
    flushSync(() => {
      onBegin?.();
      setFirst(text);
    });
    field.current?.focus();
  };
  const current = useRef({ ...searched, begin });
  current.current = { ...searched, begin };
  useEffect(() => {
    all.add(current);
    return () => void all.delete(current);
  }, []);
  const end = () => {
    setFirst(null);
    onShow(null);
    content.current?.closest<HTMLElement>("[tabindex]")?.focus();
  };
  const bar = first !== null && <FindBar key={first} {...searched} {...{ first, field }} onClose={end} />;
  return [() => begin(""), bar] as const;
}

interface Props extends Searched {
  first: string;
  field: RefObject<HTMLInputElement | null>;
  onClose: () => void;
}

function FindBar({ where, unit, className, content, find, isFromEnd, first, field, ...on }: Props) {
  const [text, setText] = useState(first);
  const wanted = text.trim().toLowerCase();
  const found = wanted ? find(wanted) : [];
  const nearest = (places: readonly string[]) => places.at(isFromEnd ? -1 : 0) ?? null;
  const [place, setPlace] = useState(nearest(found));
  const at = found.indexOf(place ?? "");
  const show = (next: string | null) => {
    setPlace(next);
    on.onShow(next);
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: what was searched elsewhere is shown once
  useEffect(() => on.onShow(place), []);
  const go = (to: number) => show(found[(to + found.length) % found.length] ?? null);
  const next = isFromEnd ? -1 : 1;
  const others = wanted && found.length === 0 ? [...all] : [];
  const elsewhere = others.filter(({ current }) => current.find(wanted).length > 0);
  useMarkedText(content, wanted);
  return (
    <search className={classes("row", className)}>
      <Input
        ref={field}
        aria-label={`Find in ${where}`}
        placeholder={`Find in ${where}`}
        value={text}
        onChange={({ target: { value } }) => {
          setText(value);
          show(value.trim() ? nearest(find(value.trim().toLowerCase())) : null);
        }}
        onKeyDown={(event) => {
          if (event.key === "Escape") on.onClose();
          else if (event.key === "Enter") go(at + (event.shiftKey ? -next : next));
          else return;
          event.preventDefault();
        }}
      />
      <span className={classes("small dim fixed", styles.found)} role="status">
        {found.length ? `${at < 0 ? "–" : at + 1} of ${found.length} ${unit}s` : wanted && `Not in ${where}`}
      </span>
      {elsewhere.map(({ current: other }) => (
        <Button
          key={other.where}
          onClick={() => {
            on.onClose();
            other.begin(text);
          }}
        >
          {other.find(wanted).length} in {other.where}
        </Button>
      ))}
      {elsewhere.length === 0 && (
        <>
          <IconButton label="Find before" onClick={() => go(at - 1)} icon={ChevronUp} />
          <IconButton label="Find after" onClick={() => go(at + 1)} icon={ChevronDown} />
        </>
      )}
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
    mark();
    const changes = new MutationObserver(() => {
      frame ||= requestAnimationFrame(mark);
    });
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
