/** What a person has written to the agent of a run, and not sent: a message, files, comments on its changes. */
import type { QueryClient } from "@tanstack/react-query";
import { fetchReview } from "../../api/changes";
import type { RunRef } from "../../api/commands";
import type { Review, Task } from "../../api/types";
import { countOf } from "../../ui/counts";

/** Under what the text and the files are kept until they are sent. */
export const textPlaceOf = (run: string) => `taskbeacon.draft.${run}`;
export const filesPlaceOf = (run: string) => `taskbeacon.files.${run}`;

export const hasDraft = (run: string): boolean =>
  [textPlaceOf(run), filesPlaceOf(run)].some((place) => sessionStorage.getItem(place) !== null);

export function reviewQuery(queries: QueryClient, ref: RunRef) {
  const queryKey = ["review", ref.run];
  const queryFn = async () => {
    const review = await fetchReview(ref);
    const known = queries.getQueryData<Review>(queryKey);
    // An answer may be older than what was stored meanwhile.
    return known && known.version > review.version ? known : review;
  };
  return { queryKey, queryFn };
}

export const draftsOf = (review: Review | null | undefined) =>
  review?.comments.filter(({ message_id }) => !message_id) ?? [];

/** Empty: nothing. */
export function unsentText(messages: number, comments: number): string {
  const parts = [messages && countOf(messages, "message"), comments && countOf(comments, "draft comment")];
  const written = parts.filter(Boolean).join(" and ");
  return written && `${written} ${messages + comments === 1 ? "is" : "are"} not sent.`;
}

/** Return what was written to the latest runs of tasks, in words; what cannot be asked for is left out. */
export async function unsentOf(project: number, tasks: readonly Task[]): Promise<string> {
  const refs = tasks.flatMap(({ id, latest_run: run }) => (run ? { project, task: id, run: run.id } : []));
  const asked = refs.map((ref) => fetchReview(ref).catch(() => null));
  const comments = (await Promise.all(asked)).flatMap((review) => draftsOf(review));
  return unsentText(refs.filter(({ run }) => hasDraft(run)).length, comments.length);
}
