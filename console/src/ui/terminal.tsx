/** What programs printed, with the colours of a terminal. */
import { memo, useLayoutEffect, useRef } from "react";
import { parseAnsi } from "../text/ansi";
import styles from "./terminal.module.css";

function classNames(names: string[]): string {
  return names.map((name) => styles[name] ?? "").join(" ");
}

const NEAR_END = 24;

interface Props {
  text: string;
  label: string;
}

export const Terminal = memo(function Terminal({ text, label }: Props) {
  const screen = useRef<HTMLPreElement>(null);
  const isAtEnd = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: new text is what moves the end
  useLayoutEffect(() => {
    const element = screen.current;
    if (element && isAtEnd.current) element.scrollTop = element.scrollHeight;
  }, [text]);
  return (
    <pre
      ref={screen}
      className={styles.terminal}
      tabIndex={0}
      role="group"
      aria-label={label}
      onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
        isAtEnd.current = scrollHeight - scrollTop - clientHeight < NEAR_END;
      }}
    >
      {parseAnsi(text.replace(/\n$/, "")).map((span, index) =>
        span.classes.length ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: spans have no other identity
          <span key={index} className={classNames(span.classes)}>
            {span.text}
          </span>
        ) : (
          span.text
        ),
      )}
    </pre>
  );
});
