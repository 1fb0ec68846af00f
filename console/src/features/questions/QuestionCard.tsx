/** A question of an agent with everything that an answer needs. */
import { CircleHelp, ExternalLink, TriangleAlert } from "lucide-react";
import { useId, useState } from "react";
import type { RunRef } from "../../api/commands";
import { safeLink } from "../../text/links";
import { classes } from "../../ui/classes";
import { Button, Input } from "../../ui/controls";
import { clockTime } from "../../ui/time";
import { useKeys } from "../common/keys";
import { isAllowing, type Option, optionForKey, type Question } from "./question";
import styles from "./questions.module.css";
import { SchemaForm } from "./SchemaForm";
import { useAnswer } from "./useAnswer";

const CONFIRMATION = "allow";

interface Props {
  question: Question;
  runRef: RunRef;
  /** Whether single keys answer it; with several cards on a page none may. */
  hasKeys: boolean;
}

export function QuestionCard({ question, runRef, hasKeys }: Props) {
  const id = useId();
  const answer = useAnswer(question, runRef);
  const [typed, setTyped] = useState("");
  const isBusy = answer.isPending || answer.isSuccess;
  const isLocked = question.isRisky && typed.trim().toLowerCase() !== CONFIRMATION;
  const choose = (option: Option | undefined) => {
    if (option && !isBusy && !(isLocked && isAllowing(option))) answer.mutate({ option_id: option.id });
  };
  const keys = ["a", "r", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
  const actions = keys.map((key) => [key, () => choose(optionForKey(question.options, key))] as const);
  useKeys(hasKeys && question.kind === "permission" ? Object.fromEntries(actions) : {});

  return (
    <section className={classes(styles.card, question.isRisky && styles.risky)} aria-labelledby={id}>
      <header className={styles.head}>
        {question.isRisky ? (
          <TriangleAlert size={18} aria-hidden="true" />
        ) : (
          <CircleHelp size={18} aria-hidden="true" />
        )}
        <h2 id={id}>{question.title}</h2>
      </header>
      {question.expiresAt && (
        <p className={styles.expiry}>Counts as refused after {clockTime(question.expiresAt)}</p>
      )}
      {question.detail && question.detail !== question.title && (
        <pre className={styles.detail} tabIndex={0} role="group" aria-label="What it is about">
          {question.detail}
        </pre>
      )}
      {question.kind === "permission" && (
        <>
          {question.isRisky && (
            <label className={styles.confirm}>
              <span>
                This can do harm that is hard to undo. Type <strong>{CONFIRMATION}</strong> to allow it.
              </span>
              <Input value={typed} autoComplete="off" onChange={(event) => setTyped(event.target.value)} />
            </label>
          )}
          <div className={styles.buttons}>
            {question.options.map((option, index) => (
              <Button
                key={option.id}
                large
                {...(option.kind === "allow_once" ? { tone: "primary" as const } : {})}
                disabled={isBusy || (isLocked && isAllowing(option))}
                onClick={() => choose(option)}
              >
                {option.name}
                {hasKeys && <kbd aria-hidden="true">{keyOf(question.options, option, index)}</kbd>}
              </Button>
            ))}
          </div>
        </>
      )}
      {question.kind === "form" && (
        <SchemaForm
          schema={question.schema}
          isBusy={isBusy}
          onSend={(content) => answer.mutate({ action: "accept", content })}
          onDecline={() => answer.mutate({ action: "decline" })}
        />
      )}
      {question.kind === "url" && <PageToOpen question={question} isBusy={isBusy} onAnswer={answer.mutate} />}
    </section>
  );
}

interface PageProps {
  question: Question;
  isBusy: boolean;
  onAnswer: (answer: { action: "accept" | "decline" }) => void;
}

/** The host comes first: the rest of an address can say anything. */
function PageToOpen({ question, isBusy, onAnswer }: PageProps) {
  const link = safeLink(question.link ?? "");
  return (
    <>
      <p className={styles.url}>
        The agent asks you to open a page of <strong>{question.linkHost ?? "an unknown host"}</strong>:
        <span className={styles.address}>{question.link}</span>
      </p>
      <div className={styles.buttons}>
        <Button large disabled={isBusy} onClick={() => onAnswer({ action: "decline" })}>
          Decline
        </Button>
        {link && (
          <Button
            large
            tone="primary"
            disabled={isBusy}
            onClick={() => {
              window.open(link, "_blank", "noopener,noreferrer");
              onAnswer({ action: "accept" });
            }}
          >
            <ExternalLink size={16} aria-hidden="true" /> Open it
          </Button>
        )}
      </div>
    </>
  );
}

function keyOf(options: Option[], option: Option, index: number): string {
  if (optionForKey(options, "a") === option) return "a";
  if (optionForKey(options, "r") === option) return "r";
  return String(index + 1);
}
