/** A question with everything that an answer needs. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { CircleHelp, ExternalLink, TriangleAlert } from "lucide-react";
import { type KeyboardEvent, useId, useRef, useState } from "react";
import { flushSync } from "react-dom";
import { Link } from "wouter";
import type { Answer, InboxRow } from "../../api/types";
import { safeLink } from "../../text/links";
import { classes, scrolling } from "../../ui/classes";
import { Button, Form, Input, TextArea } from "../../ui/controls";
import { isPlainKey, useKeys } from "../../ui/keys";
import { InlineMarkdown, Markdown } from "../../ui/markdown";
import { clockTime } from "../../ui/time";
import { isSeen, useUnread } from "../../ui/unmeant";
import { draftsOf, reviewQuery, unsentText } from "../project/drafts";
import { runHref } from "../project/inbox";
import { Explanation } from "./Explanation";
import { isAllowing, type Option, optionForKey } from "./question";
import styles from "./questions.module.css";
import { type PartProps, SchemaForm } from "./SchemaForm";
import { useAnswer } from "./useAnswer";

const CONFIRMATION = "allow";
const MOST_KEYS = 9;
const ANSWER_KEYS = [..."ar123456789"];
export const LONGEST_REASON = 500;

interface Props {
  question: InboxRow;
  /** What stands above it, in a list where that can vanish and another question takes its place: there it is brief. */
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
  const card = useRef<HTMLElement>(null);
  const buttons = useRef<HTMLDivElement>(null);
  const [isMissed, setMissed] = useState(false);
  const give = (given: Answer): boolean => {
    setMissed(isUnread);
    if (!isUnread) answer.mutate(given);
    return !isUnread;
  };
  const [typed, setTyped] = useState("");
  const [isOpen, setOpen] = useState(false);
  const isListed = above !== undefined;
  const isBrief = isListed && !isOpen;
  const { detail, title, kind } = question;
  // A page's host stands above its address.
  const isSaid = !detail || detail === title || detail === `${question.link_host}\n\n${title}`;
  const isRisky = question.risk === "high";
  const Icon = isRisky ? TriangleAlert : CircleHelp;
  const isBusy = answer.isPending || answer.isSuccess;
  const isLocked = isRisky && typed.trim().toLowerCase() !== CONFIRMATION;
  const choose = (option: Option | undefined) => {
    if (!option || isBusy) return;
    if (!isLocked || !isAllowing(option)) give({ option_id: option.id });
    else if (isBrief) open();
  };
  const isPermission = kind === "permission";
  const choices = (isPermission ? ANSWER_KEYS : []).map((key) => {
    return [key, () => choose(optionForKey(question.options, key))] as const;
  });
  const explain = () => setOpen(!isOpen);
  const open = () => {
    flushSync(explain);
    card.current?.querySelector<HTMLElement>("form input")?.focus();
  };
  const whenSeen = (act: () => void) => () => {
    // What must be on the screen for a key to mean it.
    const pressed = buttons.current ?? card.current;
    if (!pressed || isSeen(pressed)) return act();
    setMissed(true);
    setReveals(reveals + 1);
    if (onReveal) onReveal();
    else pressed.scrollIntoView({ block: "nearest" });
  };
  const keys = [...choices, ["e", explain] as const].map(([key, act]) => [key, whenSeen(act)] as const);
  // On the page of a task another key `e` archives it.
  useKeys(hasKeys ? Object.fromEntries(keys) : {}, !isListed);
  const explainFocused = (event: KeyboardEvent) => {
    if (!isListed || !isPlainKey(event.nativeEvent, "e")) return;
    event.preventDefault();
    explain();
  };

  const part = { question, isBusy, isBrief, onAnswer: give };
  return (
    <section
      className={classes(
        "column spaced card",
        styles.card,
        isRisky && styles.risky,
        isListed && styles.listed,
      )}
      aria-labelledby={id}
      tabIndex={-1}
      data-unread={isUnread}
      ref={card}
      onKeyDown={explainFocused}
    >
      <header className={classes("row top", styles.head)}>
        <Icon size={18} className={isRisky ? "danger" : "attention"} />
        <h2 id={id} className="grow">
          <InlineMarkdown text={title} />{" "}
          {question.expires_at && (
            <span className="small dim">
              {isListed ? "refused" : "Counts as refused"} after {clockTime(question.expires_at)}
            </span>
          )}
        </h2>
        <Button tone="quiet" aria-expanded={isOpen} onClick={explain}>
          {isListed ? (isOpen ? "Less" : "More") : "Explain"}
          <span className="visually-hidden"> {title}</span>
        </Button>
      </header>
      {!isSaid && <Detail {...{ kind, isBrief }} text={detail} />}
      {isPermission && (
        <>
          {isRisky && !isBrief && (
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
          <div ref={buttons} className={classes("row wrap spaced", styles.buttons)}>
            {question.options.map((option, index) => (
              <Button
                key={option.id}
                large
                disabled={isBusy || (!isBrief && isLocked && isAllowing(option))}
                onClick={() => choose(option)}
              >
                {option.name}
                {isBrief && isLocked && isAllowing(option) && " …"}
                {hasKeys && index < MOST_KEYS && <kbd aria-hidden="true">{index + 1}</kbd>}
              </Button>
            ))}
          </div>
        </>
      )}
      {kind === "form" && isBrief && (
        <div className={classes("row", styles.buttons)}>
          <Button large disabled={isBusy} onClick={() => give({ action: "decline" })}>
            Decline
          </Button>
          <Button large disabled={isBusy} onClick={open}>
            Answer …
          </Button>
        </div>
      )}
      {kind === "form" && !isBrief && <SchemaForm {...part} />}
      {kind === "verdict" && <Work {...part} />}
      {kind === "url" && <PageToOpen {...part} />}
      {isOpen && <Explanation question={question} />}
      <p className={classes("strong", styles.missed)} role="status">
        {isMissed && "Not sent: you pressed before the question could be read. Press again."}
      </p>
    </section>
  );
}

/** What it is about: as it is, where that is allowed or was found; else prose. */
function Detail({ kind, text, isBrief }: { kind: InboxRow["kind"]; text: string; isBrief: boolean }) {
  const isProse = kind === "form" || kind === "url";
  if (isBrief)
    return (
      <p className="brief small dim">
        {isProse && <InlineMarkdown text={text} />}
        {kind === "permission" && <code>{text}</code>}
        {kind === "verdict" && text.replaceAll("\n", " · ")}
      </p>
    );
  return isProse ? (
    <Markdown text={text} />
  ) : (
    <pre className={classes("well", styles.detail)} {...scrolling("What it is about")}>
      {text}
    </pre>
  );
}

/** What becomes of work that is not verified; it is accepted with a reason alone. */
function Work({ question, isBusy, onAnswer }: PartProps) {
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState("");
  const note = text.trim() ? { custom_input: text } : {};
  const ref = { project: question.project_id, task: question.task.id, run: question.run.id };
  const { data } = useQuery({ ...reviewQuery(useQueryClient(), ref), enabled: chosen === "send_back" });
  const unsent = chosen === "send_back" && unsentText(0, draftsOf(data).length);
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
      {unsent && (
        <p className="small attention">
          {unsent} <Link href={runHref(question, "?pane=changes")}>Review them</Link>
        </p>
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
function PageToOpen({ question, isBusy, isBrief, onAnswer }: PartProps) {
  const link = safeLink(question.link ?? "");
  return (
    <>
      <p className={classes("dim", isBrief && "brief small")}>
        The agent asks you to open a page of <strong>{question.link_host ?? "an unknown host"}</strong>:{" "}
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
