/** Asks again for what has changed. */
import type { Query, QueryClient, QueryFilters } from "@tanstack/react-query";

const isFirst = ({ state }: Query) => state.data === undefined && state.fetchStatus === "fetching";

/** Ask again, also for what is being asked for the first time: an answer that is under way may be older than the change. */
export async function renew(queries: QueryClient, filters: QueryFilters): Promise<void> {
  const first = queries.getQueryCache().findAll(filters).filter(isFirst);
  await queries.invalidateQueries(filters);
  if (first.length > 0)
    await queries.invalidateQueries({ ...filters, predicate: (one) => first.includes(one) });
}
