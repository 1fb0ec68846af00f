import { useEffect, useRef, useState } from "react";
import type { DiffLine, Hunk } from "../../text/patch";
import { extendBy, extendTo, linesOf, type Range } from "./range";

/** The lines of a file that a person has chosen to comment on: by presses, with Shift, by dragging, or step by step. */
export function useRange(hunks: readonly Hunk[]) {
  const [range, setRange] = useState<Range | null>(null);
  const [isDragging, setDragging] = useState(false);
  const dragStart = useRef<number | null>(null);
  useEffect(() => {
    const onUp = () => {
      dragStart.current = null;
      setDragging(false);
    };
    window.addEventListener("mouseup", onUp);
    return () => window.removeEventListener("mouseup", onUp);
  }, []);
  const lines = range ? linesOf(hunks, range) : [];
  const places = new Set(lines.map(({ at }) => at));
  return {
    lines,
    isDragging,
    isPicked: ({ at }: DiffLine) => places.has(at),
    onPick: ({ at }: DiffLine, isExtending: boolean) =>
      setRange((before) => (isExtending && before ? extendTo(hunks, before, at) : { start: at, end: at })),
    onDrag: ({ at }: DiffLine, begins: boolean) => {
      if (begins) dragStart.current = at;
      else if (dragStart.current !== null) {
        setRange(extendTo(hunks, { start: dragStart.current, end: dragStart.current }, at));
        setDragging(true);
      }
    },
    extend: (by: 1 | -1) => setRange((before) => before && extendBy(hunks, before, by)),
    clear: () => setRange(null),
  };
}
