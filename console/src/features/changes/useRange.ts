import { useEffect, useRef, useState } from "react";
import type { DiffLine, Hunk } from "../../text/patch";
import { extendBy, extendTo, linesOf, type Range } from "./range";

/** The lines of a file that a person has chosen to comment on: by presses, with Shift, by dragging, or step by step. */
export function useRange(
  hunks: readonly Hunk[],
  range: Range | null,
  setRange: (range: Range | null) => void,
) {
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
      setRange(isExtending && range ? extendTo(hunks, range, at) : { start: at, end: at }),
    onDrag: ({ at }: DiffLine, begins: boolean) => {
      if (begins) dragStart.current = at;
      else if (dragStart.current !== null) {
        setRange(extendTo(hunks, { start: dragStart.current, end: dragStart.current }, at));
        setDragging(true);
      }
    },
    extend: (by: 1 | -1) => setRange(range && extendBy(hunks, range, by)),
    clear: () => setRange(null),
  };
}
