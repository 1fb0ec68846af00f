import { type ReactNode, startTransition, useEffect, useRef, useState } from "react";

/** How far beyond what is visible things are drawn. */
const MARGIN = "600px 0px";

interface Props {
  /** How high it will about be, in px: the place that it takes before it has been drawn. */
  height: number;
  /** Whether it is drawn wherever it is. */
  isKept?: boolean;
  children: () => ReactNode;
}

/** Draws its children while they are near to what is visible in the element that scrolls, marked by `data-scrolls`. */
export function Near({ height, isKept = false, children }: Props) {
  const place = useRef<HTMLDivElement>(null);
  // Null while it is drawn.
  const [reserved, reserve] = useState<number | null>(
    typeof IntersectionObserver === "undefined" ? null : height,
  );
  useEffect(() => {
    const element = place.current;
    if (!element || typeof IntersectionObserver === "undefined") return;
    const observer = new IntersectionObserver(
      ([entry]) => {
        if (!entry) return;
        const next = entry.isIntersecting ? null : entry.boundingClientRect.height;
        // In pieces, so that it does not stop the scrolling.
        startTransition(() => reserve(next));
      },
      { root: element.closest("[data-scrolls]"), rootMargin: MARGIN },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const isDrawn = isKept || reserved === null;
  return (
    <div ref={place} style={isDrawn ? undefined : { height: reserved }}>
      {isDrawn && children()}
    </div>
  );
}

/** Scroll a list, and nothing around it, until one of its elements is at its top, in its middle, or just in sight. */
export function bring(
  list: Element | null,
  element: Element | null | undefined,
  to: "top" | "middle" | "sight",
) {
  if (!list || !element) return;
  const [outer, inner] = [list.getBoundingClientRect(), element.getBoundingClientRect()];
  const [above, below] = [inner.top - outer.top, inner.bottom - outer.bottom];
  if (to === "top") list.scrollTop += above;
  else if (to === "middle") list.scrollTop += (above + below) / 2;
  else list.scrollTop += Math.min(above, 0) + Math.max(below, 0);
}
