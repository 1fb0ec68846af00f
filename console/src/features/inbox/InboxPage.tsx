import { AlarmClock, Inbox } from "lucide-react";
import { useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import { snoozeQuestion } from "../../api/inbox";
import type { InboxRow } from "../../api/types";
import { classes } from "../../ui/classes";
import { Button } from "../../ui/controls";
import { Empty, Failure, Loading, say } from "../../ui/feedback";
import { useKeys } from "../../ui/keys";
import { Page } from "../../ui/page";
import { Age, clockTime, spanInWords } from "../../ui/time";
import { useAction } from "../../ui/unmeant";
import { reasonsInWords } from "../project/checks";
import { blockingFirst, HOUR, MINUTE, needsText, runHref, snoozeSeconds, useInbox } from "../project/inbox";
import { useProject } from "../project/project";
import { QuestionCard } from "../questions/QuestionCard";
import { closedText } from "../questions/question";
import { isAsking } from "../questions/runQuestions";
import styles from "./inbox.module.css";

export function InboxPage() {
  const [isAll, setAll] = useState(false);
  const [at, setAt] = useState(0);
  const [, navigate] = useLocation();
  const { href } = useProject();
  const inbox = useInbox(isAll ? "all" : "open");
  const needs = useInbox("open").data;
  const missed = useInbox("missed").data?.results ?? [];
  const rows = blockingFirst([...(inbox.data?.results ?? []), ...(isAll ? [] : missed)]);
  const ids = rows.map(({ id }) => id);
  const list = useRef<HTMLUListElement>(null);
  const move = (by: number) => {
    const next = Math.min(Math.max(at + by, 0), Math.max(rows.length - 1, 0));
    setAt(next);
    list.current?.children[next]?.querySelector("a")?.focus();
  };
  useKeys({
    j: ["Next question", () => move(1)],
    k: ["Question before", () => move(-1)],
    Enter: (event) => {
      if (event?.target instanceof HTMLElement && event.target.closest("a, button")) event.target.click();
      else if (rows[at]) navigate(runHref(rows[at]));
    },
  });
  return (
    <Page
      title="Inbox"
      beside={
        <Button aria-pressed={isAll} onClick={() => setAll(!isAll)}>
          {isAll ? "Show open ones only" : "Show answered ones too"}
        </Button>
      }
    >
      {inbox.isPending && <Loading what="the inbox" />}
      {inbox.isError && !inbox.data && <Failure error={inbox.error} onRetry={() => inbox.refetch()} />}
      {inbox.data && rows.length === 0 && (
        <Empty icon={Inbox} title="Nothing needs you">
          <p>When an agent asks a question or waits for a message, it appears here and on your devices.</p>
          <Link href={href("/")}>All tasks</Link>
        </Empty>
      )}
      <div className="column spaced">
        {needs && needs.count > 0 && <p className="dim">Open: {needsText(needs)}</p>}
        <ul ref={list} className="column spaced">
          {rows.map((row, index) => (
            <InboxItem key={row.id} row={row} isSelected={index === at} above={ids.slice(0, index).join()} />
          ))}
        </ul>
      </div>
    </Page>
  );
}

interface ItemProps {
  row: InboxRow;
  isSelected: boolean;
  /** The rows above it. */
  above: string;
}

function InboxItem({ row, isSelected, above }: ItemProps) {
  const snooze = snoozeSeconds(row);
  const detail = row.kind === "verdict" ? reasonsInWords(row.detail) : row.detail;
  const isHeld = row.snoozed_until !== null && Date.parse(row.snoozed_until) > Date.now();
  const hold = useAction({
    mutationFn: () => snoozeQuestion(row.project_id, row.id, snooze),
    onSuccess: () => say(`No notices about this question for ${spanInWords(snooze)}.`),
    refreshes: [["inbox"]],
  });
  return (
    <li className={classes("card", styles.row)} data-selected={isSelected || undefined}>
      <div className={classes("row wrap small faint", styles.about)}>
        <Link href={runHref(row)}>
          {row.task.title || "Untitled task"}
          <span className="visually-hidden"> {row.task.slug}</span>
        </Link>
        <span aria-hidden="true">{row.task.slug}</span>
        {row.task.repository && <span>{row.task.repository}</span>}
        <Age at={row.opened_at} />
        {row.status === "open" && isHeld && (
          <span>
            <AlarmClock size={14} /> Snoozed until {clockTime(row.snoozed_until as string)}
          </span>
        )}
        {row.status === "open" && !isHeld && snooze > 0 && row.allowed_actions.includes("snooze") && (
          <Button tone="quiet" className="last" disabled={hold.isPending} onClick={() => hold.mutate()}>
            <AlarmClock size={14} /> Snooze {snooze === HOUR ? "1 h" : `${snooze / MINUTE} min`}
            <span className="visually-hidden"> {row.task.slug}</span>
          </Button>
        )}
      </div>
      {isAsking(row) ? (
        <QuestionCard question={{ ...row, detail }} hasKeys={isSelected} above={above} />
      ) : (
        <p className="dim">
          {row.title}
          {row.status !== "open" && <em> {closedText(row)}</em>}
        </p>
      )}
    </li>
  );
}
