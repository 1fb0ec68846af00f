/** What a page says when there is nothing, not yet, or a failure; and short messages at the edge of the page. */
import { CircleAlert, type LucideIcon, RotateCw } from "lucide-react";
import { type ReactNode, useSyncExternalStore } from "react";
import { errorText } from "../api/errors";
import { classes } from "./classes";
import { Button } from "./controls";
import styles from "./feedback.module.css";
import { PageHeading } from "./heading";

interface EmptyProps {
  icon: LucideIcon;
  title: string;
  /** Whether it is all that the page shows. */
  isPage?: boolean;
  children?: ReactNode;
}

export function Empty({ icon: Icon, title, isPage, children }: EmptyProps) {
  return (
    <div className={classes("column dim", styles.empty)}>
      <Icon size={24} aria-hidden="true" />
      {isPage ? <PageHeading>{title}</PageHeading> : <h2>{title}</h2>}
      {children}
    </div>
  );
}

/** Shown after a moment only, so that quick answers do not flash. */
export function Loading({ what }: { what: string }) {
  return (
    <p className={classes("faint", styles.loading)} role="status" data-loading>
      Loading {what} …
    </p>
  );
}

export function Failure({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  return (
    <div className={classes("row wrap card bad", styles.failure)} role="alert">
      <CircleAlert size={16} aria-hidden="true" />
      <span>{errorText(error)}</span>
      {onRetry && (
        <Button onClick={onRetry}>
          <RotateCw size={14} aria-hidden="true" /> Try again
        </Button>
      )}
    </div>
  );
}

interface FailedPageProps {
  title: string;
  error: unknown;
  onRetry: () => void;
}

/** A page that shows nothing but why there is nothing to show. */
export function FailedPage({ title, error, onRetry }: FailedPageProps) {
  return (
    <main>
      <Empty icon={CircleAlert} title={title} isPage>
        <p role="alert">{errorText(error)}</p>
        <Button onClick={onRetry}>
          <RotateCw size={14} aria-hidden="true" /> Try again
        </Button>
      </Empty>
    </main>
  );
}

interface Message {
  id: number;
  text: string;
  tone: "info" | "danger";
  undo?: () => void;
}

let messages: readonly Message[] = [];
let serial = 0;
const listeners = new Set<() => void>();

function change(next: readonly Message[]): void {
  messages = next;
  for (const listener of listeners) listener();
}

const QUICK_MS = 5000;
/** For what asks to be read, or to be pressed. */
const SLOW_MS = 9000;

const remove = (id: number) => change(messages.filter((message) => message.id !== id));

/** `undo` takes back what is said, by a button beside it. */
export function say(text: string, tone: Message["tone"] = "info", undo?: () => void): void {
  const id = ++serial;
  change([...messages.slice(-1), { id, text, tone, ...(undo ? { undo } : {}) }]);
  setTimeout(() => remove(id), undo || tone === "danger" ? SLOW_MS : QUICK_MS);
}

export const sayError = (error: unknown) => say(errorText(error), "danger");

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The one live region of the page. */
export function Messages() {
  const shown = useSyncExternalStore(subscribe, () => messages);
  return (
    <div className={classes("column", styles.messages)} role="status" aria-live="polite">
      {shown.map(({ id, text, tone, undo }) => (
        <p key={id} className={tone === "danger" ? "card bad" : "card raised"}>
          {text}
          {undo && (
            <Button
              tone="quiet"
              onClick={() => {
                remove(id);
                undo();
              }}
            >
              Undo
            </Button>
          )}
        </p>
      ))}
    </div>
  );
}
