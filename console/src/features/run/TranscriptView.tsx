/**
 * The scrolling transcript. Rows far above are virtual; the last ones stand outside of the virtualiser, so that what
 * streams is laid out by the browser alone and never measured, moved or repeated.
 *
 * Rows move from the tail to the virtual part only while the reader is at the bottom: a row whose height is not known
 * yet must not push away the text that a person reads.
 */
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown } from "lucide-react";
import { useCallback, useImperativeHandle, useLayoutEffect, useMemo, useRef, useState } from "react";
import { findRows } from "../../transcript/find";
import type { Item } from "../../transcript/items";
import { type Row, Rows } from "../../transcript/rows";
import { classes } from "../../ui/classes";
import { Button } from "../../ui/controls";
import { useFind } from "../../ui/find";
import { useKeys } from "../../ui/keys";
import { FoundRow } from "./found";
import { TranscriptRow } from "./TranscriptRow";
import styles from "./transcript.module.css";

// Enough for one screen: all of the tail is laid out before the first paint.
const TAIL = 12;
const STEP = 12;
const ESTIMATED_HEIGHT = 64;
const NEAR_BOTTOM = 48;

interface Props {
  items: readonly Item[];
  /** Whether the open question stands below the transcript. */
  hasCard: boolean;
  head: React.ReactNode;
  foot: React.ReactNode;
  /** Shows the transcript where a pane takes its place. */
  onReveal: (() => void) | undefined;
}

export function TranscriptView({ items, hasCard, head, foot, onReveal }: Props) {
  const folder = useRef(new Rows());
  const rows = useMemo(() => folder.current.of(items, hasCard), [items, hasCard]);
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const isAtBottom = useRef(true);
  const [isAway, setAway] = useState(false);
  const [boundary, setBoundary] = useState(0);
  const wanted = Math.max(0, Math.floor((rows.length - TAIL) / STEP) * STEP);
  const split = isAtBottom.current && wanted > boundary ? wanted : Math.min(boundary, rows.length);
  if (split !== boundary) setBoundary(split);

  useStickToBottom(scroller, content, isAtBottom, setAway);
  const toBottom = () => {
    isAtBottom.current = true;
    const element = scroller.current;
    if (element) element.scrollTop = element.scrollHeight;
  };
  const [found, setFound] = useState<string | null>(null);
  const virtual = useRef<Virtual>(null);
  const show = (id: string | null) => {
    setFound(id);
    if (!id) return;
    isAtBottom.current = false;
    const slot = content.current?.querySelector(`[data-row="${CSS.escape(id)}"]`);
    const index = rows.findIndex((row) => row.id === id);
    if (slot) slot.scrollIntoView({ block: "center" });
    else virtual.current?.scrollToIndex(index, { align: "center" });
  };
  const [find, findBar] = useFind({
    where: "the transcript",
    unit: "row",
    className: classes("raised", styles.find),
    content,
    find: (text) => findRows(rows, text),
    isFromEnd: true,
    onBegin: onReveal,
    onShow: show,
  });
  useKeys({
    G: ["Jump to the latest", toBottom],
    "/": ["Find in the transcript", find],
    // What a pane shows is found by the browser.
    ...(onReveal ? {} : { "Mod+f": find }),
  });

  return (
    <div className="fill anchor">
      {findBar}
      <div
        ref={scroller}
        className={classes("grow scrolls", styles.scroller)}
        role="log"
        aria-live="off"
        aria-label="Transcript"
        tabIndex={0}
      >
        <div ref={content} className={styles.column}>
          {head}
          <FoundRow.Provider value={found}>
            {split > 0 && <VirtualRows ref={virtual} rows={rows} count={split} scroller={scroller} />}
            {rows.slice(split).map((row) => (
              <div key={row.id} className={styles.slot} data-row={row.id}>
                <TranscriptRow row={row} />
              </div>
            ))}
          </FoundRow.Provider>
          {foot}
        </div>
      </div>
      {isAway && (
        <Button className={styles.latest} onClick={toBottom}>
          <ArrowDown size={14} /> Jump to the latest
        </Button>
      )}
    </div>
  );
}

/** What a reader does to go up. A page that is searched moves, too, while nothing in it grows or shrinks. */
const GESTURES = ["wheel", "touchmove", "pointerdown", "keydown"] as const;
const GESTURE_MS = 1000;

/** Keep the end in view while the reader is there, whatever grows or shrinks: rows, code, or the field below. */
function useStickToBottom(
  scroller: React.RefObject<HTMLDivElement | null>,
  content: React.RefObject<HTMLDivElement | null>,
  isAtBottom: React.RefObject<boolean>,
  setAway: (isAway: boolean) => void,
): void {
  useLayoutEffect(() => {
    const element = scroller.current;
    const inner = content.current;
    if (!element || !inner) return;
    let [lastTop, lastHeight, gestureAt] = [0, 0, Number.NEGATIVE_INFINITY];
    const stick = () => {
      if (isAtBottom.current) element.scrollTop = element.scrollHeight;
    };
    const onGesture = ({ timeStamp }: Event) => {
      gestureAt = timeStamp;
    };
    const onScroll = ({ timeStamp }: Event) => {
      const { scrollTop: top, scrollHeight, clientHeight } = element;
      const height = scrollHeight - clientHeight;
      // Rows that turn out smaller than they were estimated move the top up, too: that is no reader.
      const isReader = top < lastTop && (height === lastHeight || timeStamp - gestureAt < GESTURE_MS);
      if (height - top < NEAR_BOTTOM) isAtBottom.current = true;
      else if (isReader) [isAtBottom.current, gestureAt] = [false, timeStamp];
      else stick();
      [lastTop, lastHeight] = [element.scrollTop, height];
      setAway(!isAtBottom.current);
    };
    const sizes = new ResizeObserver(stick);
    sizes.observe(inner);
    sizes.observe(element);
    element.addEventListener("scroll", onScroll, { passive: true });
    for (const name of GESTURES) element.addEventListener(name, onGesture, { passive: true });
    stick();
    return () => {
      sizes.disconnect();
      element.removeEventListener("scroll", onScroll);
      for (const name of GESTURES) element.removeEventListener(name, onGesture);
    };
  }, [scroller, content, isAtBottom, setAway]);
}

const estimateSize = () => ESTIMATED_HEIGHT;

type Virtual = Pick<ReturnType<typeof useVirtualizer>, "scrollToIndex">;

interface VirtualProps {
  ref: React.Ref<Virtual>;
  rows: readonly Row[];
  count: number;
  scroller: React.RefObject<HTMLDivElement | null>;
}

function VirtualRows({ ref, rows, count, scroller }: VirtualProps) {
  const box = useRef<HTMLDivElement>(null);
  // With another function the places of all rows would be computed again, at every frame of scrolling.
  const getItemKey = useCallback((index: number) => rows[index]?.id ?? index, [rows]);
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize,
    getItemKey,
    // The transcript opens at its end.
    initialOffset: count * ESTIMATED_HEIGHT,
    overscan: 6,
    // Rows may come a frame later than the scrolling: blocking the scrolling for them is worse.
    useFlushSync: false,
    scrollMargin: box.current?.offsetTop ?? 0,
  });
  useImperativeHandle(ref, () => virtual, [virtual]);
  return (
    <div ref={box} style={{ height: virtual.getTotalSize(), position: "relative" }}>
      {virtual.getVirtualItems().map(({ index, key, start }) => {
        const row = rows[index];
        if (!row) return null;
        const top = start - virtual.options.scrollMargin;
        return (
          <div
            key={key}
            ref={virtual.measureElement}
            data-index={index}
            data-row={row.id}
            className={styles.slot}
            style={{ position: "absolute", insetInline: 0, transform: `translateY(${top}px)` }}
          >
            <TranscriptRow row={row} />
          </div>
        );
      })}
    </div>
  );
}
