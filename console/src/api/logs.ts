/** The stored log of a run, read in pages. */

import { type RunRef, runPath } from "./commands";
import { ApiError } from "./errors";

const PAGE = 5000;

async function page(
  ref: RunRef,
  query: Record<string, string>,
): Promise<{ entries: unknown[]; total: number; more: boolean }> {
  const response = await fetch(`${runPath(ref)}/session_logs/?${new URLSearchParams(query)}`);
  if (!response.ok) throw new ApiError(response.status, await response.json().catch(() => null));
  return {
    entries: (await response.json()) as unknown[],
    total: Number(response.headers.get("X-Total-Count")),
    more: response.headers.get("X-Has-More") === "true",
  };
}

/** How many entries the log of a run has, with those of the runs that it resumes. */
export async function countLog(ref: RunRef): Promise<number> {
  return (await page(ref, { limit: "1" })).total;
}

/** Return the entries from an offset on, a page at a time. */
export async function* readLog(ref: RunRef, from: number): AsyncGenerator<unknown[]> {
  for (let offset = from, more = true; more; offset += PAGE) {
    const read = await page(ref, { limit: String(PAGE), offset: String(offset) });
    more = read.more;
    yield read.entries;
  }
}
