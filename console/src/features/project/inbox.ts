import { useQuery } from "@tanstack/react-query";
import { fetchInbox } from "../../api/inbox";
import type { InboxRow } from "../../api/types";

export const useInbox = (status: "open" | "all") =>
  useQuery({ queryKey: ["inbox", status], queryFn: () => fetchInbox(status) });

/** What needs the person, in all projects: the open questions of their inbox, messages that agents wait for among them. */
export const useNeeds = () => useInbox("open").data;

/** The place of a row's run: it may be of another project. */
export const runHref = (row: InboxRow) =>
  `~/console/projects/${row.project_id}/tasks/${row.task.id}/runs/${row.run.id}${row.kind === "verdict" ? "?pane=checks" : ""}`;
