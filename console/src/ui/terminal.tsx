/** What programs printed, with the colours of a terminal. */
import { memo, useLayoutEffect, useMemo, useRef } from "react";
import { parseAnsi } from "../text/ansi";
import { folded } from "../text/marks";
import { classes, scrolling } from "./classes";
import { useAllOf } from "./code";
import styles from "./terminal.module.css";

const NEAR_END = 24;
// What is laid out at once: the page must not stop for a program that floods.
const SHOWN = 30_000;

/** Return the end of an output, from the beginning of a line on where there is one. */
export function endOf(text: string): string {
  if (text.length <= SHOWN) return text;
  const end = text.slice(-SHOWN);
  const line = end.indexOf("\n") + 1;
  return line && line < SHOWN / 2 ? end.slice(line) : end;
}

export const Terminal = memo(function Terminal({ text, label }: { text: string; label: string }) {
  const [isWhole, button] = useAllOf(text);
  const shown = isWhole ? text : endOf(text);
  const all = useMemo(() => parseAnsi(shown.replace(/\n$/, "")), [shown]);
  const spans = useMemo(() => (isWhole ? all : folded(all)), [isWhole, all]);
  const screen = useRef<HTMLPreElement>(null);
  const isAtEnd = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: new text is what moves the end
  useLayoutEffect(() => {
    const element = screen.current;
    if (element && isAtEnd.current) element.scrollTop = element.scrollHeight;
  }, [shown]);
  return (
    <>
      {(shown !== text || spans !== all) && (
        <p className="small dim">
          {shown !== text && "The end of a long output. "}
          {button}
        </p>
      )}
      <pre
        ref={screen}
        className={classes("well small", styles.terminal)}
        {...scrolling(label)}
        onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
          isAtEnd.current = scrollHeight - scrollTop - clientHeight < NEAR_END;
        }}
      >
        {spans.map(({ text, style }, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: spans have no other identity
          <span key={index} style={style}>
            {text}
          </span>
        ))}
      </pre>
    </>
  );
});
