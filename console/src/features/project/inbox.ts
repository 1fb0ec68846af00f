import { useQuery } from "@tanstack/react-query";
import { fetchInbox } from "../../api/inbox";
import type { InboxPage, InboxRow } from "../../api/types";
import { countOf } from "../../ui/counts";

// What a person decides about work that is done can wait longer than an agent.
const RANKS = ["verdict", "message"];

/** Return what an agent stands still for first, by its deadline, then verdicts, then what waits, then what is closed. */
export function blockingFirst(rows: readonly InboxRow[]): InboxRow[] {
  const rank = ({ status, kind }: InboxRow) => (status === "open" ? RANKS.indexOf(kind) : RANKS.length);
  const end = (row: InboxRow) => Date.parse((rank(row) < 0 && row.expires_at) || "9999");
  return rows.toSorted((one, other) => rank(one) - rank(other) || end(one) - end(other));
}

const inOrder = (page: InboxPage) => ({ ...page, results: blockingFirst(page.results) });

export const useInbox = (status: "open" | "missed" | "all") =>
  useQuery({ queryKey: ["inbox", status], queryFn: () => fetchInbox(status), select: inOrder });

/** What needs the person, in all projects: the open questions of their inbox, messages that agents wait for among them. */
export const useNeeds = () => useInbox("open").data;

/** What the open rows are: agents that stand still until they are answered, work to judge, and agents whose turn is over. */
export function needsText({
  count,
  open_count: open,
  results,
}: Omit<InboxPage, "next" | "previous">): string {
  const verdicts = results.filter(({ kind }) => kind === "verdict").length;
  const messages = count - open;
  const parts = [
    open > verdicts && countOf(open - verdicts, "question"),
    verdicts > 0 && `${countOf(verdicts, "verdict")} to judge`,
    messages > 0 && `${countOf(messages, "agent")} ${messages === 1 ? "waits" : "wait"} for a message`,
  ];
  return parts.filter(Boolean).join(", ");
}

/** The place of a row's run: it may be of another project. */
export const runHref = (row: InboxRow, pane = row.kind === "verdict" ? "?pane=checks" : "") =>
  `~/console/projects/${row.project_id}/tasks/${row.task.id}/runs/${row.run.id}${pane}`;

export const MINUTE = 60;
export const HOUR = 3600;

/** Return how long a question can be snoozed: an hour, or whole minutes to its end. */
export function snoozeSeconds({ expires_at: end }: Pick<InboxRow, "expires_at">, now = Date.now()): number {
  const left = end ? (Date.parse(end) - now) / 1000 : HOUR;
  return left >= HOUR ? HOUR : Math.max(Math.floor(left / MINUTE) * MINUTE, 0);
}
