import { type QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useRef, useState } from "react";
import { flushSync } from "react-dom";
import { type Base, fetchChanges, fetchLines, fetchReview, storeReview } from "../../api/changes";
import type { RunRef } from "../../api/commands";
import { ApiError, isTransient } from "../../api/errors";
import type { Diff, FileChange, Review, Run, Session } from "../../api/types";
import { isOf, parseHunks, wholeOf } from "../../text/patch";
import { say, sayError } from "../../ui/feedback";
import { reviewQuery } from "../project/drafts";
import { earlierOf, isOver } from "../project/runState";
import { missingOf } from "./bases";
import { anchorOf } from "./range";
import type { Comment, ShownComment } from "./review";
import { fingerprint, isChangedBy, isSame, reviewMessage, tallyOf } from "./review";

/** The person's other devices write it, too. */
const AGAIN_MS = 2000;
const BEHIND_MS = 60_000;
const isConflict = (error: unknown) => error instanceof ApiError && error.status === 409;

type Change = (review: Review) => Review;

/** The lines of a file where the work began. */
export const linesQuery = (ref: RunRef, base: Base, { old_path, path }: FileChange) => ({
  queryKey: ["lines", ref.run, base, old_path ?? path],
  queryFn: () => fetchLines(ref, base, old_path ?? path),
  staleTime: Number.POSITIVE_INFINITY,
});

/** `run`: what is stored of one that is over stays. */
export function changesQuery(queries: QueryClient, ref: RunRef, base: Base, run?: Run) {
  const queryKey = ["task", ref.task, "diff", ref.run, base];
  const queryFn = async () => {
    const diff = await fetchChanges(ref, base);
    const known = queries.getQueryData<Diff>(queryKey);
    // What a person reads stays until there is more to say than that.
    const stays = known?.files.length && missingOf(diff, base).passes;
    return known && stays ? { ...known, missing: diff.missing } : diff;
  };
  return { queryKey, queryFn, ...(run && { staleTime: isOver(run) ? Number.POSITIVE_INFINITY : 0 }) };
}

/** Return the message of a review, with the lines that its comments are about. */
export async function messageOf(
  comments: readonly Comment[],
  remark: string,
  files: readonly FileChange[],
  queries: QueryClient,
  ref: RunRef,
  base: Base,
): Promise<string> {
  const quotes = comments.map(async (comment) => {
    const file = files.find(({ path }) => path === comment.path);
    const hunks = parseHunks(file?.patch ?? "");
    // A comment may stand between the hunks of the patch: only the file has its lines.
    const query = file && !file.truncated && linesQuery(ref, base, file);
    const before = query ? await queries.fetchQuery(query).catch(() => null) : null;
    const known = before && isOf(hunks, before) ? wholeOf(hunks, before) : hunks;
    return [comment, anchorOf(known, comment)] as const;
  });
  return reviewMessage(await Promise.all(quotes), remark);
}

/** Under what the remark of a review is kept until it is sent. */
export const remarkOf = (run: string) => `taskbeacon.remark.${run}`;

const NONE: never[] = [];

/** What was sent before, what the run has changed itself, also at the comments with which it began, in words, and the number of unsent comments. */
export function useOutcome(run: Run, ref: RunRef) {
  const queries = useQueryClient();
  const { comments = NONE, earlier: reviews = NONE } = useQuery(reviewQuery(queries, ref)).data ?? {};
  const me = queries.getQueryData<Session>(["session"])?.user.id;
  const changes = { ...changesQuery(queries, ref, "start", run), enabled: reviews.length > 0 };
  const { files, missing } = useQuery(changes).data ?? {};
  const own = missing ? undefined : files;
  const earlier = useMemo<readonly ShownComment[]>(() => {
    return reviews.flatMap(({ run_id, sent_by: by, comments }) => {
      const from = { run: run_id, by, isOwn: by.id === me };
      const rest = { from, sent: "", isEarlier: run_id !== run.id };
      return comments.map((one) => {
        const isOlder = one.message_id !== `run:${run.id}`;
        return { ...one, ...rest, isOlder, isChanged: isOlder || !own ? undefined : isChangedBy(own, one) };
      });
    });
  }, [reviews, me, run.id, own]);
  const asked = earlier.filter(({ isOlder }) => !isOlder);
  const sentWith = comments.flatMap(({ message_id }) => message_id || []);
  const unsent = comments.length - sentWith.length;
  const tally = own && asked.length > 0 ? tallyOf(asked) : "";
  return { earlier, own, tally, unsent, sentWith };
}

/** How many files all runs on the branch have changed; 0: this run is the first, or it is not known. */
export function useWhole(run: Run, ref: RunRef): number {
  const changes = changesQuery(useQueryClient(), ref, "first", run);
  return useQuery({ ...changes, enabled: earlierOf(run) !== null }).data?.files.length ?? 0;
}

/** By how many commits the base of a live run has moved on, which is asked of its code host. */
export function useBehind(ref: RunRef, isLive: boolean): number {
  const again = { enabled: isLive, staleTime: BEHIND_MS, refetchInterval: BEHIND_MS };
  const { data } = useQuery({ ...changesQuery(useQueryClient(), ref, "branch"), ...again });
  return (isLive && data?.behind) || 0;
}

const mapped = (to: (one: Comment) => Comment): Change => {
  return ({ comments, ...rest }) => ({ ...rest, comments: comments.map(to) });
};

const without = ({ comments, ...rest }: Review, gone: readonly Comment[]): Review => ({
  ...rest,
  comments: comments.filter(({ id }) => !gone.some((one) => one.id === id)),
});

/** Change what is stored, also when the page has been left. */
async function rewrite(queries: QueryClient, ref: RunRef, one: Change): Promise<void> {
  try {
    queries.setQueryData(["review", ref.run], await storeReview(ref, one(await fetchReview(ref))));
  } catch (error) {
    if (!isConflict(error)) sayError(error);
    if (isTransient(error)) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    if (isConflict(error) || isTransient(error)) await rewrite(queries, ref, one);
  }
}

/** Note with which message comments have been sent; one that was edited meanwhile was not. */
export const markSent = (queries: QueryClient, ref: RunRef, sent: readonly Comment[], message_id: string) =>
  rewrite(
    queries,
    ref,
    mapped((one) => (sent.some((other) => isSame(one, other)) ? { ...one, message_id } : one)),
  );

/** The person's review, which the service keeps. Changes show at once, and are made again on those of another device. */
export function useReview(ref: RunRef) {
  const queries = useQueryClient();
  const { data } = useQuery({ ...reviewQuery(queries, ref), refetchInterval: AGAIN_MS });
  const [pending, setPending] = useState<readonly Change[]>([]);
  const last = useRef(Promise.resolve());
  const review = useMemo(
    () => data && pending.reduce((review, change) => change(review), data),
    [data, pending],
  );
  const { toggleViewed, ...act } = useMemo(() => {
    const change = (one: Change) => {
      // At once: files are folded by it, and the next one is gone to.
      flushSync(() => setPending((all) => [...all, one]));
      last.current = last.current
        .then(() => rewrite(queries, ref, one))
        .then(() => setPending((all) => all.filter((other) => other !== one)));
    };
    return {
      toggleViewed: (file: FileChange) =>
        change(({ viewed, ...rest }) => {
          const [path, hash] = [file.path, fingerprint(file)];
          const others = viewed.filter((mark) => mark.path !== path);
          const isViewed = viewed.some((mark) => mark.path === path && mark.hash === hash);
          return { ...rest, viewed: isViewed ? others : [...others, { path, hash }] };
        }),
      /** Add a comment, or replace the one with its id. */
      onComment: (comment: Comment) =>
        change(({ comments, ...rest }) => {
          const byId = new Map([...comments, comment].map((one) => [one.id, one]));
          return { ...rest, comments: [...byId.values()] };
        }),
      /** Resolve a comment that was sent, or reopen it, in the review that it is in. */
      onResolve: ({ id, resolved, from }: ShownComment) => {
        const one = mapped((each) => (each.id === id ? { ...each, resolved: !resolved } : each));
        if (!from) return change(one);
        const refresh = () => queries.invalidateQueries({ queryKey: ["review", ref.run] });
        void rewrite(queries, { ...ref, run: from.run }, one).then(refresh);
      },
      onDiscard: (gone: readonly Comment[]) => {
        change((review) => without(review, gone));
        const back: Change = (all) => ({ ...all, comments: [...without(all, gone).comments, ...gone] });
        const what = gone.length === 1 ? "The comment is" : `${gone.length} comments are`;
        say(`${what} discarded.`, "info", () => void rewrite(queries, ref, back));
      },
    };
  }, [queries, ref]);
  return { review, isStored: pending.length === 0, toggleViewed, act };
}
