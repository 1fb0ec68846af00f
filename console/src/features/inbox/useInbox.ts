import { useQuery } from "@tanstack/react-query";
import { fetchInbox, type InboxFilters } from "../../api/inbox";

export function useInbox(filters: InboxFilters) {
  return useQuery({ queryKey: ["inbox", filters], queryFn: () => fetchInbox(filters) });
}

const OPEN: InboxFilters = { status: "open" };

export const useOpenCount = (): number => useInbox(OPEN).data?.open_count ?? 0;

/** The open question of a run in the person's inbox; null if there is none, undefined while that is not known. */
export function useInboxRow(run: string) {
  const inbox = useInbox(OPEN);
  const row = inbox.data?.results.find((one) => one.run.id === run && one.kind !== "message");
  return row ?? (inbox.isFetching ? undefined : null);
}
