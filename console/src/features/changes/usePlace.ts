import { type RefObject, useMemo, useRef, useState } from "react";
import { bring } from "../../ui/near";

/** Which file of the list is at its top, and how to go to another one, or to a comment. */
export function usePlace(list: RefObject<HTMLDivElement | null>) {
  const [at, setAt] = useState(0);
  /** The file at the top, and which part of it is above. */
  const place = useRef<[index: number, part: number]>([0, 0]);
  const moves = useMemo(() => {
    const filesOf = () => [...(list.current?.querySelectorAll<HTMLElement>(":scope > [data-file]") ?? [])];
    const focus = (element: Element | undefined) =>
      (element?.querySelector("button") ?? (element as HTMLElement))?.focus({ preventScroll: true });
    return {
      onScroll: () => {
        const [files, top] = [filesOf(), (list.current?.scrollTop ?? 0) + 1];
        const next = Math.max(
          0,
          files.findLastIndex(({ offsetTop }) => offsetTop <= top),
        );
        const file = files[next];
        if (file) place.current = [next, (top - file.offsetTop) / file.offsetHeight];
        setAt(next);
      },
      /** Show the same lines when all heights have changed. */
      stay: () => {
        const [index, part] = place.current;
        const file = filesOf()[index];
        if (file && list.current) list.current.scrollTop = file.offsetTop + part * file.offsetHeight;
      },
      go: (index: number) => {
        const files = filesOf();
        const next = Math.min(Math.max(index, 0), files.length - 1);
        setAt(next);
        bring(list.current, files[next], "top");
        focus(files[next]);
      },
      goToComment: (by: 1 | -1) => {
        const all = [...(list.current?.querySelectorAll("[data-comment]") ?? [])];
        const now = all.findIndex((one) => one.contains(document.activeElement));
        const next = all.at(now < 0 && by === -1 ? -1 : (now + by) % all.length);
        bring(list.current, next, "middle");
        focus(next);
      },
    };
  }, [list]);
  return { at, ...moves };
}
