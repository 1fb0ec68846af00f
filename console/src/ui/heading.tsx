import { type HTMLAttributes, useEffect, useLayoutEffect, useRef } from "react";
import { arrive } from "./arrival";

/** What stands before each title of the page. */
let mark = "";

/** Say in the title of the page how much is new. */
export function markTitle(count: number): void {
  const title = document.title.slice(mark.length);
  mark = count ? `(${count}) ` : "";
  document.title = mark + title;
}

interface Props extends HTMLAttributes<HTMLHeadingElement> {
  level?: "h1" | "h2";
  children: string;
}

/** The heading of a page: it names the page to the browser, and has the focus when the page is shown after another. */
export function PageHeading({ level: Level = "h1", children, ...rest }: Props) {
  const ref = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${mark}${children} · Taskbeacon`;
  }, [children]);
  // Before the next key: it may belong to a text that is being typed.
  useLayoutEffect(() => {
    if (ref.current) arrive(ref.current);
  }, []);
  return (
    <Level ref={ref} tabIndex={-1} {...rest}>
      {children}
    </Level>
  );
}
