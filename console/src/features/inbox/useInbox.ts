import { useQuery } from "@tanstack/react-query";
import { fetchInbox, type InboxFilters } from "../../api/inbox";

// The stream covers the project on the page; questions of other projects are found this way.
const POLL_MS = 60_000;

export function useInbox(filters: InboxFilters) {
  return useQuery({
    queryKey: ["inbox", filters],
    queryFn: () => fetchInbox(filters),
    refetchInterval: POLL_MS,
  });
}

const OPEN: InboxFilters = { status: "open" };

export const useOpenCount = (): number => useInbox(OPEN).data?.open_count ?? 0;

/** The open question of a run, if it is in the person's inbox. */
export function useInboxRow(run: string | null) {
  const inbox = useInbox(OPEN);
  return inbox.data?.results.find((row) => row.run.id === run && row.kind !== "message") ?? null;
}
