import { type RefObject, useMemo, useRef, useState } from "react";
import { bring } from "../../ui/near";

/** Which file of the list is at its top, and how to go to another one, or to a comment. */
export function usePlace(list: RefObject<HTMLDivElement | null>) {
  const [at, show] = useState(0);
  const current = useRef(0);
  /** The file at the top, and which part of it is above. */
  const place = useRef<[index: number, part: number]>([0, 0]);
  /** Where the list stood when a file was gone to: the last ones cannot stand at its top. */
  const went = useRef<number | undefined>(undefined);
  const moves = useMemo(() => {
    const filesOf = () => [...(list.current?.querySelectorAll<HTMLElement>(":scope > [data-file]") ?? [])];
    const setAt = (index: number) => {
      current.current = index;
      show(index);
    };
    const focus = (element: Element | undefined) =>
      (element?.querySelector("button") ?? (element as HTMLElement))?.focus({ preventScroll: true });
    return {
      onScroll: () => {
        const [files, top] = [filesOf(), (list.current?.scrollTop ?? 0) + 1];
        const last = files.findLastIndex(({ offsetTop }) => offsetTop <= top);
        const next = Math.max(last, 0);
        const file = files[next];
        if (file) place.current = [next, (top - file.offsetTop) / file.offsetHeight];
        if (list.current?.scrollTop !== went.current) setAt(next);
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
        went.current = list.current?.scrollTop;
        focus(files[next]);
      },
      goToComment: (by: 1 | -1) => {
        const all = [...(list.current?.querySelectorAll("[data-comment]") ?? [])];
        const focused = list.current?.querySelector(":focus");
        const here = focused ?? filesOf()[current.current];
        const behind = all.findIndex(
          (one) => (here?.compareDocumentPosition(one) ?? 0) & Node.DOCUMENT_POSITION_FOLLOWING,
        );
        const first = behind < 0 ? all.length : behind;
        const isIn = all[first - 1]?.contains(here ?? null);
        const next = all.at((by === 1 ? first : first - (isIn ? 2 : 1)) % all.length);
        bring(list.current, next, "middle");
        focus(next);
      },
    };
  }, [list]);
  return { at, ...moves };
}
