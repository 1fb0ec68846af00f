/** One row of a transcript, by its kind. */
import * as icons from "lucide-react";
import { type ComponentType, createContext, memo, type ReactNode, useContext, useState } from "react";
import type { InboxRow } from "../../api/types";
import type { QuestionItem, Receipt } from "../../transcript/items";
import { describeFold, type Row, titleOfSteps } from "../../transcript/rows";
import { classes } from "../../ui/classes";
import { useAllOf } from "../../ui/code";
import { Chevron } from "../../ui/controls";
import { Copied } from "../../ui/copy";
import { Markdown } from "../../ui/markdown";
import { Age } from "../../ui/time";
import { closedText } from "../questions/question";
import { RunQuestions } from "../questions/runQuestions";
import { useIsFound } from "./found";
import { GivenFile } from "./GivenFile";
import { PlanList } from "./PlanList";
import { ToolRow } from "./ToolRow";
import styles from "./transcript.module.css";

type Props<Kind extends Row["kind"]> = { item: Extract<Row, { kind: Kind }> };

const PARTS: { [Kind in Row["kind"]]: ComponentType<Props<Kind>> } = {
  user: UserMessage,
  agent: AgentMessage,
  thought: Thought,
  tool: ToolRow,
  fold: Fold,
  plan: PlanCard,
  question: AskedQuestion,
  gap: Gap,
  note: Note,
  steps: Steps,
  turn: Turn,
};

export const TranscriptRow = memo(function TranscriptRow({ row }: { row: Row }) {
  const Part = PARTS[row.kind] as ComponentType<{ item: Row }>;
  return <Part item={row} />;
});

// What the service quotes of a check to an agent: each of its lines begins so, and none can end a block of code.
const OUTPUT = /(?<=^output:\n)((?:\| .*(?:\n|$))+)/gm;
const LONG_MESSAGE = 1200;

export type UserItem = Props<"user">["item"];

/** What can be done with a message that the agent never got. */
export const OfLost = createContext<(item: UserItem) => ReactNode>(() => null);

export function UserMessage({ item }: Props<"user">) {
  const isFound = useIsFound(item.id);
  const lost = useContext(OfLost);
  const [isAsked, button] = useAllOf(item.text);
  const isWhole = isAsked || isFound || item.text.length <= LONG_MESSAGE;
  return (
    <div className={classes("column tight", styles.user)}>
      <div className={classes("card", styles.bubble)}>
        {item.text && (
          <Copied text={item.text}>
            <div className={classes(styles.userText, !isWhole && styles.cut)}>
              <Markdown text={item.text.replace(OUTPUT, "```\n$1\n```\n")} />
            </div>
          </Copied>
        )}
        {!isWhole && button}
        {item.files.length > 0 && (
          <ul className="row wrap small dim">
            {item.files.map((name) => (
              <li key={name} className="row tight">
                <icons.Paperclip size={13} /> <GivenFile name={name} />
              </li>
            ))}
          </ul>
        )}
      </div>
      {item.receipt && <ReceiptLine receipt={item.receipt} />}
      {item.receipt?.isUngiven && lost(item)}
    </div>
  );
}

const RECEIPTS = {
  sending: [icons.Send, "Sending"],
  accepted: [icons.Clock3, "Queued for the agent"],
  delivered: [icons.Check, "Given to the agent"],
  consumed: [icons.CheckCheck, "Read by the agent"],
  dropped: [icons.CircleAlert, "Not completed by the agent"],
  failed: [icons.CircleAlert, "Not sent"],
} as const;

export function ReceiptLine({ receipt }: { receipt: Receipt }) {
  const [Icon, words] = RECEIPTS[receipt.status];
  const isBad = receipt.status === "dropped" || receipt.status === "failed";
  return (
    <p className={classes("row tight ends small", isBad ? "danger" : "faint")}>
      <Icon size={13} /> {receipt.isUngiven ? "Never given to the agent" : words}
      {receipt.reason && `: ${receipt.reason}`}
    </p>
  );
}

function AgentMessage({ item }: Props<"agent">) {
  return (
    <Copied text={item.isOpen ? "" : item.text}>
      <Markdown text={item.text} isOpen={item.isOpen} />
    </Copied>
  );
}

function Thought({ item }: Props<"thought">) {
  return (
    <Foldable id={item.id} title={item.isOpen ? "Thinking …" : "Thought"}>
      <div className={classes("dim", styles.inset)}>
        <Markdown text={item.text} isOpen={item.isOpen} />
      </div>
    </Foldable>
  );
}

interface FoldableProps {
  /** Of the row: one that was found is open. */
  id: string;
  title: string;
  icon?: icons.LucideIcon;
  children: ReactNode;
}

function Foldable({ id, title, icon: Icon, children }: FoldableProps) {
  const isFound = useIsFound(id);
  const [chosen, setOpen] = useState<boolean | null>(null);
  const isOpen = chosen ?? isFound;
  return (
    <div className={Icon ? "card" : undefined}>
      <button
        type="button"
        className={classes("row line small", Icon ? `dim ${styles.toolHead}` : `faint ${styles.foldHead}`)}
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
      >
        {Icon ? <Icon size={15} className="faint" /> : <Chevron isOpen={isOpen} />}
        <span className={Icon ? "clip grow" : undefined}>{title}</span>
        {Icon && <Chevron isOpen={isOpen} />}
      </button>
      {isOpen && children}
    </div>
  );
}

function Fold({ item: row }: Props<"fold">) {
  return (
    <Foldable id={row.id} title={describeFold(row.tools)} icon={icons.Files}>
      <div className={classes("column tight", styles.body)}>
        {row.tools.map((tool) => (
          <ToolRow key={tool.id} item={tool} />
        ))}
      </div>
    </Foldable>
  );
}

function PlanCard({ item: { entries } }: Props<"plan">) {
  const done = entries.filter(({ status }) => status === "completed").length;
  return (
    <section className={"column card padded"} aria-label="Plan">
      <h3>
        Plan <span className="small faint">{`${done} of ${entries.length} done`}</span>
      </h3>
      <PlanList entries={entries} />
    </section>
  );
}

/** What became of a question. An answer in the log may be that of the clock, or of any member. */
function askedText(item: QuestionItem, row: InboxRow | undefined, isKnown: boolean): string {
  if (item.state === "unasked")
    return item.answer ? `Nobody was asked; went on with ${item.answer}` : "Nobody was asked; it was refused";
  if (row && row.status !== "open") return closedText(row);
  if (item.state === "open") return "Waits for an answer";
  if (row || !isKnown) return "Closed";
  return item.state === "answered" ? `Answered: ${item.answer}` : "Closed without an answer";
}

function AskedQuestion({ item }: Props<"question">) {
  const rows = useContext(RunQuestions);
  const row = rows?.find(({ id }) => item.id === `question:${id.replaceAll("-", "")}`);
  return (
    <div className={classes("row top card snug small dim", styles.note)}>
      <icons.HelpCircle size={15} className="attention" />
      <span>
        {item.title}
        <strong className={styles.asked}>{askedText(item, row, rows !== undefined)}</strong>
      </span>
    </div>
  );
}

function Gap({ item }: Props<"gap">) {
  return (
    <p className={classes("row small attention", styles.mark)}>
      <icons.TriangleAlert size={14} />
      {item.lost === null ? "Events" : `${item.lost.toLocaleString()} events`} are missing here
    </p>
  );
}

const NOTE_ICONS = {
  info: icons.Info,
  warning: icons.TriangleAlert,
  error: icons.CircleAlert,
} as const;

function Note({ item }: Props<"note">) {
  const Icon = NOTE_ICONS[item.tone];
  return (
    <div className={classes("row top card snug small", styles.note, item.tone === "error" ? "bad" : "dim")}>
      <Icon size={15} />
      <span>{item.text}</span>
    </div>
  );
}

function Steps({ item }: Props<"steps">) {
  const title = titleOfSteps(item.steps);
  if (item.steps.length === 1) return <p className={classes("small faint", styles.step)}>{title}</p>;
  return (
    <Foldable id={item.id} title={title}>
      <ul className={classes("small faint", styles.inset)}>
        {item.steps.map((step, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: steps are only added
          <li key={index}>{step}</li>
        ))}
      </ul>
    </Foldable>
  );
}

const STOPS: Record<string, string> = {
  end_turn: "Turn ended",
  error: "Turn ended with an error",
  cancelled: "Turn stopped",
  max_tokens: "Turn ended: the model's limit of tokens",
  max_turn_requests: "Turn ended: too many requests",
  refusal: "Turn ended: the model refused",
};

function Turn({ item }: Props<"turn">) {
  return (
    <p className={classes("row small faint", styles.mark)}>
      {STOPS[item.stopReason] ?? "Turn ended"} <Age at={item.at} inSentence />
    </p>
  );
}
