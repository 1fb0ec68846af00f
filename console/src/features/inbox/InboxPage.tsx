import { useQuery } from "@tanstack/react-query";
import { AlarmClock, Inbox } from "lucide-react";
import { useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import { snoozeQuestion } from "../../api/inbox";
import { fetchRuns } from "../../api/tasks";
import type { InboxRow, Run } from "../../api/types";
import { classes } from "../../ui/classes";
import { Button, IconButton } from "../../ui/controls";
import { Empty, Failure, Loading, say } from "../../ui/feedback";
import { useKeys } from "../../ui/keys";
import { InlineMarkdown } from "../../ui/markdown";
import { Page } from "../../ui/page";
import { Age, clockTime, spanInWords } from "../../ui/time";
import { useAction } from "../../ui/unmeant";
import { useAskingRuns } from "../project/active";
import { reasonsInWords } from "../project/checks";
import { HOUR, MINUTE, needsText, runHref, snoozeSeconds, useInbox } from "../project/inbox";
import { useProject } from "../project/project";
import { RunFigures } from "../project/RunFigures";
import { runName, titleOf } from "../project/runState";
import { QuestionCard } from "../questions/QuestionCard";
import { closedText } from "../questions/question";
import { isAsking } from "../questions/runQuestions";
import styles from "./inbox.module.css";

export default function InboxPage() {
  const [isAll, setAll] = useState(false);
  const [at, setAt] = useState(0);
  const [, navigate] = useLocation();
  const { href } = useProject();
  const inbox = useInbox(isAll ? "all" : "open");
  const needs = useInbox("open").data;
  const missed = useInbox("missed").data?.results ?? [];
  const rows = [...(inbox.data?.results ?? []), ...(isAll ? [] : missed)];
  const runs = useAskingRuns(rows);
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
      isWide
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
            <InboxItem
              key={row.id}
              row={row}
              run={runs.get(row.run.id)}
              isSelected={index === at}
              isOneOfSeveral={rows.some(({ task, run }) => task.id === row.task.id && run.id !== row.run.id)}
              above={ids.slice(0, index).join()}
            />
          ))}
        </ul>
      </div>
    </Page>
  );
}

interface ItemProps {
  row: InboxRow;
  run: Run | undefined;
  isSelected: boolean;
  /** Whether another row is about another run of the task. */
  isOneOfSeveral: boolean;
  /** The rows above it. */
  above: string;
}

function InboxItem({ row, run, isSelected, isOneOfSeveral, above }: ItemProps) {
  const snooze = snoozeSeconds(row);
  const detail = row.kind === "verdict" ? reasonsInWords(row.detail) : row.detail;
  const isHeld = row.snoozed_until !== null && Date.parse(row.snoozed_until) > Date.now();
  const hold = useAction({
    mutationFn: () => snoozeQuestion(row.project_id, row.id, snooze),
    onSuccess: () => say(`No notices about this question for ${spanInWords(snooze)}.`),
    refreshes: [["inbox"]],
  });
  const taskRuns = useQuery({
    queryKey: ["task", row.task.id, "runs"],
    queryFn: () => fetchRuns(row.project_id, row.task.id),
    enabled: isOneOfSeveral,
  });
  const title = titleOf(row.task);
  return (
    <li className={classes("card snug", styles.row)} data-selected={isSelected || undefined}>
      <div className={classes("row small faint figures", styles.about)}>
        <Link href={runHref(row)} className="clip title" title={title}>
          {title}
          <span className="visually-hidden"> {row.task.slug}</span>
        </Link>
        <span className="fixed" aria-hidden="true">
          {row.task.slug}
        </span>
        {isOneOfSeveral && (
          <span className="fixed">{taskRuns.data && runName(taskRuns.data, row.run.id)}</span>
        )}
        {row.task.repository && <span className="clip">{row.task.repository}</span>}
        {run && <RunFigures run={run} />}
        <Age at={row.opened_at} />
        {row.status === "open" && isHeld && (
          <span className="row tight fixed">
            <AlarmClock size={14} /> Snoozed until {clockTime(row.snoozed_until as string)}
          </span>
        )}
        {row.status === "open" && !isHeld && snooze > 0 && row.allowed_actions.includes("snooze") && (
          <IconButton
            label={`Snooze ${snooze === HOUR ? "1 h" : `${snooze / MINUTE} min`} ${row.task.slug}`}
            disabled={hold.isPending}
            onClick={() => hold.mutate()}
            icon={AlarmClock}
          />
        )}
      </div>
      {isAsking(row) ? (
        <QuestionCard question={{ ...row, detail }} hasKeys={isSelected} above={above} />
      ) : (
        <p className="dim">
          <InlineMarkdown text={row.title} />
          {row.status !== "open" && <em> {closedText(row)}</em>}
        </p>
      )}
    </li>
  );
}
