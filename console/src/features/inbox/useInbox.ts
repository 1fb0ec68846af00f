import { useQuery } from "@tanstack/react-query";
import { fetchInbox, type InboxFilters } from "../../api/inbox";
import type { InboxPage, InboxRow } from "../../api/types";

export function useInbox(filters: InboxFilters) {
  return useQuery({ queryKey: ["inbox", filters], queryFn: () => fetchInbox(filters) });
}

const OPEN: InboxFilters = { status: "open" };

export const useOpenCount = (): number => useInbox(OPEN).data?.open_count ?? 0;

/**
 * The open question of a run in the person's inbox; null if there is none, undefined while that is not known.
 *
 * `asked` is the question that the run's own state names, without hyphens. The list may be older than that: a question
 * that it lacks is looked for once more, since only the inbox has the risk, and no question may be shown without.
 */
export function useInboxRow(run: string, asked: string | null): InboxRow | null | undefined {
  const find = (page: InboxPage | undefined) =>
    page?.results.find((row) =>
      asked === null
        ? row.run.id === run && row.kind !== "message"
        : row.id.replaceAll("-", "") === asked.replaceAll("-", ""),
    );
  const inbox = useInbox(OPEN);
  const listed = find(inbox.data);
  const again = useQuery({
    queryKey: ["inbox", OPEN, asked],
    queryFn: () => fetchInbox(OPEN),
    enabled: asked !== null && !listed,
  });
  if (listed || asked === null) return listed ?? null;
  return find(again.data) ?? (again.isSuccess ? null : undefined);
}
