/** What programs printed, with the colours of a terminal. */
import { memo } from "react";
import { parseAnsi } from "../text/ansi";
import styles from "./terminal.module.css";

function classNames(names: string[]): string {
  return names.map((name) => styles[name] ?? "").join(" ");
}

export const Terminal = memo(function Terminal({ text, label }: { text: string; label: string }) {
  return (
    <pre className={styles.terminal} tabIndex={0} role="region" aria-label={label}>
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
