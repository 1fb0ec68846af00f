/** A question with everything that an answer needs. */
import { CircleHelp, ExternalLink, TriangleAlert } from "lucide-react";
import { type KeyboardEvent, useId, useRef, useState } from "react";
import type { Answer, InboxRow } from "../../api/types";
import { safeLink } from "../../text/links";
import { classes, scrolling } from "../../ui/classes";
import { Button, Form, Input, TextArea } from "../../ui/controls";
import { isPlainKey, useKeys } from "../../ui/keys";
import { clockTime } from "../../ui/time";
import { isSeen, useUnread } from "../../ui/unmeant";
import { Explanation } from "./Explanation";
import { isAllowing, type Option, optionForKey } from "./question";
import styles from "./questions.module.css";
import { SchemaForm } from "./SchemaForm";
import { useAnswer } from "./useAnswer";

const CONFIRMATION = "allow";
const MOST_KEYS = 9;
const ANSWER_KEYS = [..."ar123456789"];
export const LONGEST_REASON = 500;

interface Props {
  question: InboxRow;
  /** What stands above it, in a list where that can vanish and another question takes its place. */
  above?: string;
  /** Whether single keys answer and explain it: one card of a list at most has them. */
  hasKeys?: boolean;
  /** Shows it, while something else has its place. */
  onReveal?: (() => void) | undefined;
  /** Called with the run that an answer has started. */
  onRun?: (run: string) => void;
}

export function QuestionCard({ question, above, hasKeys = true, onReveal, onRun }: Props) {
  const id = useId();
  const answer = useAnswer(question, onRun);
  const [reveals, setReveals] = useState(0);
  const isUnread = useUnread(`${above} ${onReveal === undefined} ${reveals}`);
  /** What must be on the screen for a key to mean it. */
  const pressed = useRef<HTMLDivElement & HTMLElement>(null);
  const [isMissed, setMissed] = useState(false);
  /** Return whether the answer is given. */
  const give = (given: Answer): boolean => {
    setMissed(isUnread);
    if (!isUnread) answer.mutate(given);
    return !isUnread;
  };
  const [typed, setTyped] = useState("");
  const [isExplained, setExplained] = useState(false);
  const isRisky = question.risk === "high";
  const Icon = isRisky ? TriangleAlert : CircleHelp;
  const isBusy = answer.isPending || answer.isSuccess;
  const isLocked = isRisky && typed.trim().toLowerCase() !== CONFIRMATION;
  const choose = (option: Option | undefined) => {
    if (option && !isBusy && !(isLocked && isAllowing(option))) give({ option_id: option.id });
  };
  const isPermission = question.kind === "permission";
  const choices = (isPermission ? ANSWER_KEYS : []).map((key) => {
    return [key, () => choose(optionForKey(question.options, key))] as const;
  });
  const explain = () => setExplained(!isExplained);
  const whenSeen = (act: () => void) => () => {
    if (!pressed.current || isSeen(pressed.current)) return act();
    setMissed(true);
    setReveals(reveals + 1);
    if (onReveal) onReveal();
    else pressed.current.scrollIntoView({ block: "nearest" });
  };
  const keys = [...choices, ["e", explain] as const].map(([key, act]) => [key, whenSeen(act)] as const);
  // On the page of a task another key `e` archives it.
  useKeys(hasKeys ? Object.fromEntries(keys) : {}, above === undefined);
  const explainFocused = (event: KeyboardEvent) => {
    if (above === undefined || !isPlainKey(event.nativeEvent, "e")) return;
    event.preventDefault();
    explain();
  };

  return (
    <section
      className={classes("column spaced card", styles.card, isRisky && styles.risky)}
      aria-labelledby={id}
      tabIndex={-1}
      data-unread={isUnread}
      ref={isPermission ? undefined : pressed}
      onKeyDown={explainFocused}
    >
      <header className={classes("row", styles.head)}>
        <Icon size={18} className={isRisky ? "danger" : "attention"} />
        <h2 id={id} className="grow">
          {question.title}{" "}
          {question.expires_at && (
            <span className="small dim">Counts as refused after {clockTime(question.expires_at)}</span>
          )}
        </h2>
        <Button tone="quiet" aria-expanded={isExplained} onClick={explain}>
          Explain<span className="visually-hidden"> {question.title}</span>
        </Button>
      </header>
      {question.detail && question.detail !== question.title && (
        <pre className={classes("well", styles.detail)} {...scrolling("What it is about")}>
          {question.detail}
        </pre>
      )}
      {isExplained && <Explanation question={question} />}
      {isPermission && (
        <>
          {isRisky && (
            <Form onSubmit={() => choose(optionForKey(question.options, "a"))}>
              <label className={classes("column tight", styles.confirm)}>
                <span>
                  This can do harm that is hard to undo. Type <strong>{CONFIRMATION}</strong> to allow it.
                </span>
                <Input
                  value={typed}
                  autoComplete="off"
                  autoCapitalize="none"
                  onChange={(event) => setTyped(event.target.value)}
                />
              </label>
            </Form>
          )}
          <div ref={pressed} className={classes("row wrap spaced", styles.buttons)}>
            {question.options.map((option, index) => (
              <Button
                key={option.id}
                large
                disabled={isBusy || (isLocked && isAllowing(option))}
                onClick={() => choose(option)}
              >
                {option.name}
                {hasKeys && index < MOST_KEYS && <kbd aria-hidden="true">{index + 1}</kbd>}
              </Button>
            ))}
          </div>
        </>
      )}
      {question.kind === "form" && (
        <SchemaForm
          schema={question.schema}
          isBusy={isBusy}
          onSend={(content) => give({ action: "accept", content })}
          onDecline={() => give({ action: "decline" })}
        />
      )}
      {question.kind === "verdict" && <Work question={question} isBusy={isBusy} onAnswer={give} />}
      {question.kind === "url" && <PageToOpen question={question} isBusy={isBusy} onAnswer={give} />}
      <p className={classes("strong", styles.missed)} role="status">
        {isMissed && "Not sent: you pressed before the question could be read. Press again."}
      </p>
    </section>
  );
}

interface PartProps {
  question: InboxRow;
  isBusy: boolean;
  onAnswer: (answer: Answer) => boolean;
}

/** What becomes of work that is not verified; it is accepted with a reason alone. */
function Work({ question, isBusy, onAnswer }: PartProps) {
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState("");
  const note = text.trim() ? { custom_input: text } : {};
  return (
    <>
      {chosen && (
        <TextArea
          autoFocus
          label={chosen === "waive" ? "Why the work is accepted" : "Message to the agent (optional)"}
          value={text}
          maxLength={LONGEST_REASON}
          onChange={(event) => setText(event.target.value)}
        />
      )}
      <div className={classes("row wrap spaced", styles.buttons)}>
        {question.options.map(({ id, name }) => (
          <Button
            key={id}
            large
            tone={id === chosen ? "primary" : undefined}
            disabled={isBusy || (id === chosen && id === "waive" && !text.trim())}
            onClick={() => (id === chosen ? onAnswer({ option_id: id, ...note }) : setChosen(id))}
          >
            {id === chosen ? name : `${name} …`}
          </Button>
        ))}
      </div>
    </>
  );
}

/** The host comes first: the rest of an address can say anything. */
function PageToOpen({ question, isBusy, onAnswer }: PartProps) {
  const link = safeLink(question.link ?? "");
  return (
    <>
      <p className="dim">
        The agent asks you to open a page of <strong>{question.link_host ?? "an unknown host"}</strong>:
        <code className={classes("small scrolls", styles.address)} {...scrolling("Address")}>
          {question.link}
        </code>
      </p>
      <div className={classes("row wrap spaced", styles.buttons)}>
        <Button large disabled={isBusy} onClick={() => onAnswer({ action: "decline" })}>
          Decline
        </Button>
        {link && (
          <Button
            large
            tone="primary"
            disabled={isBusy}
            onClick={() => {
              if (onAnswer({ action: "accept" })) window.open(link, "_blank", "noopener,noreferrer");
            }}
          >
            <ExternalLink size={16} /> Open it
          </Button>
        )}
      </div>
    </>
  );
}
