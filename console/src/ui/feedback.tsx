/** What a page says when there is nothing, not yet, or a failure; and short messages at the edge of the page. */
import { CircleAlert, type LucideIcon, RotateCw, SearchX } from "lucide-react";
import type { ReactNode } from "react";
import { Link } from "wouter";
import { errorText } from "../api/errors";
import { classes } from "./classes";
import { Button } from "./controls";
import styles from "./feedback.module.css";
import { PageHeading } from "./heading";
import { Store, useStore } from "./store";

interface EmptyProps {
  icon: LucideIcon;
  title: string;
  /** Whether it is all of the page. */
  isPage?: boolean;
  children?: ReactNode;
}

export function Empty({ icon: Icon, title, isPage, children }: EmptyProps) {
  const Element = isPage ? "main" : "div";
  return (
    <Element className={classes("column dim", styles.empty)}>
      <Icon size={24} />
      {isPage ? <PageHeading>{title}</PageHeading> : <h2>{title}</h2>}
      {children}
    </Element>
  );
}

/** Shown after a moment only, so that quick answers do not flash. */
export function Loading({ what }: { what: string }) {
  return (
    <p className={classes("faint padded", styles.loading)} role="status" data-loading>
      Loading {what} …
    </p>
  );
}

const Retry = ({ onClick }: { onClick: () => void }) => (
  <Button onClick={onClick}>
    <RotateCw size={14} /> Try again
  </Button>
);

export type FailureProps = { error: unknown; onRetry?: (() => void) | undefined };

export function Failure({ error, onRetry }: FailureProps) {
  return (
    <div className="row card bad padded" role="alert">
      <CircleAlert size={16} />
      <span className="grow">{errorText(error)}</span>
      {onRetry && <Retry onClick={onRetry} />}
    </div>
  );
}

const UNKNOWN = "It was deleted, its address is wrong, or you cannot see it.";

/** A page for an address of nothing. */
export const MissingPage = ({ what, why = UNKNOWN }: { what: string; why?: string }) => (
  <Empty icon={SearchX} title={`There is no such ${what}`} isPage>
    <p>{why}</p>
    <Link href="~/console/">All tasks</Link>
  </Empty>
);

/** A page that shows nothing but why there is nothing to show. */
export const FailedPage = ({ title, error, onRetry }: FailureProps & { title: string }) => (
  <Empty icon={CircleAlert} title={title} isPage>
    <p role="alert">{errorText(error)}</p>
    {onRetry && <Retry onClick={onRetry} />}
  </Empty>
);

interface Message {
  id: number;
  text: string;
  tone: "info" | "danger";
  act: (() => void) | undefined;
  label: string;
}

const messages = new Store<readonly Message[]>([]);
let serial = 0;

const QUICK_MS = 5000;
/** For what asks to be read, or to be pressed. */
const SLOW_MS = 9000;

const remove = (id: number) => messages.set(messages.get().filter((message) => message.id !== id));

/** `act` takes back what is said, or what `label` says, by a button beside it. */
export function say(text: string, tone: Message["tone"] = "info", act?: () => void, label = "Undo"): void {
  const id = ++serial;
  const others = messages.get().filter((message) => message.text !== text || message.act);
  messages.set([...others.slice(-1), { id, text, tone, act, label }]);
  setTimeout(() => remove(id), act || tone === "danger" ? SLOW_MS : QUICK_MS);
}

export const sayError = (error: unknown) => say(errorText(error), "danger");

/** The one live region of the page. */
export function Messages() {
  return (
    <div className={classes("column", styles.messages)} role="status" aria-live="polite">
      {useStore(messages).map(({ id, text, tone, act, label }) => (
        <p key={id} className={tone === "danger" ? "card bad" : "card raised"}>
          {text}
          {act && (
            <Button
              tone="quiet"
              onClick={() => {
                remove(id);
                act();
              }}
            >
              {label}
            </Button>
          )}
        </p>
      ))}
    </div>
  );
}
