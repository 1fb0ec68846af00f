import { useCallback, useState, useSyncExternalStore } from "react";

/** Whether a media query holds now. */
export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (listener) => {
      const list = window.matchMedia(query);
      list.addEventListener("change", listener);
      return () => list.removeEventListener("change", listener);
    },
    () => window.matchMedia(query).matches,
  );
}

/** Whether the element that gets the ref is narrower than this now. */
export function useNarrow(px: number) {
  const [isNarrow, setNarrow] = useState(false);
  const ref = useCallback(
    (element: HTMLElement | null) => {
      if (!element) return;
      const observer = new ResizeObserver(() => setNarrow(element.clientWidth < px));
      observer.observe(element);
      return () => observer.disconnect();
    },
    [px],
  );
  return [isNarrow, ref] as const;
}
