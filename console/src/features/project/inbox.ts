import { useQuery } from "@tanstack/react-query";
import { fetchInbox } from "../../api/inbox";
import type { InboxPage, InboxRow } from "../../api/types";

export const useInbox = (status: "open" | "all") =>
  useQuery({ queryKey: ["inbox", status], queryFn: () => fetchInbox(status) });

/** What needs the person, in all projects: the open questions of their inbox, messages that agents wait for among them. */
export const useNeeds = () => useInbox("open").data;

/** What the count of open rows is made of: agents that stand still until they are answered, and those whose turn is over. */
export function needsText({ count, open_count: questions }: Pick<InboxPage, "count" | "open_count">): string {
  const messages = count - questions;
  const parts = [
    questions > 0 && (questions === 1 ? "1 question" : `${questions} questions`),
    messages > 0 &&
      (messages === 1 ? "1 agent waits for a message" : `${messages} agents wait for a message`),
  ];
  return parts.filter(Boolean).join(", ");
}

/** The place of a row's run: it may be of another project. */
export const runHref = (row: InboxRow) =>
  `~/console/projects/${row.project_id}/tasks/${row.task.id}/runs/${row.run.id}${row.kind === "verdict" ? "?pane=checks" : ""}`;
