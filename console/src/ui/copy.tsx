import { Check, Copy } from "lucide-react";
import { type ReactNode, useState } from "react";
import { classes } from "./classes";
import { IconButton } from "./controls";
import styles from "./copy.module.css";
import { sayError } from "./feedback";

const SHOWN_MS = 2000;
const NAMED = 40;

/** Shows a text that can be copied. */
export function Copied({ text, children }: { text: string; children: ReactNode }) {
  return (
    <div className={classes("anchor", styles.copied)}>
      {children}
      {text !== "" && <CopyButton text={text} />}
    </div>
  );
}

/** Without HTTPS a page may not write to the clipboard, and there is no button. */
export function CopyButton({ text, label }: { text: string; label?: string }) {
  const [isDone, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), SHOWN_MS);
  };
  return (
    window.isSecureContext && (
      <IconButton
        label={isDone ? "Copied" : (label ?? `Copy: ${text.trim().slice(0, NAMED)}`)}
        onClick={() => copy().catch(sayError)}
        icon={isDone ? Check : Copy}
      />
    )
  );
}
