import { useEffect, useRef, useState } from "react";
import type { DiffLine, Hunk } from "../../text/patch";
import { type Range, reaching } from "./range";

/** The range that is drawn over line numbers with a mouse; it is picked when the button is let go. */
export function useDrag(shown: Hunk[], pick: (range: Range) => void) {
  const from = useRef<number | null>(null);
  const [dragged, setDragged] = useState<Range | null>(null);
  useEffect(() => {
    const end = () => {
      from.current = null;
      if (dragged && dragged.start !== dragged.end) pick(dragged);
      setDragged(null);
    };
    window.addEventListener("pointerup", end);
    return () => window.removeEventListener("pointerup", end);
  }, [dragged, pick]);
  const onDrag = ({ at }: DiffLine, isStart: boolean) => {
    if (isStart) from.current = at;
    else if (from.current !== null)
      setDragged(reaching(shown, { start: from.current, end: from.current }, at));
  };
  return [dragged, onDrag] as const;
}
