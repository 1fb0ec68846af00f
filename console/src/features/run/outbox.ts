/**
 * Messages on their way: shown from the moment they are sent until the agent has them, found again by the ids of
 * their receipts, never by their text. They survive a reload of the tab.
 */
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { fetchQueue, type RunRef, sendMessage, takeBack } from "../../api/commands";
import { errorText } from "../../api/errors";
import type { Run } from "../../api/types";
import type { Transcript } from "../../transcript/append";
import type { Receipt } from "../../transcript/items";
import { say, sayError } from "../../ui/feedback";
import { readKept } from "../../ui/kept";
import { type Comment, isSame } from "../changes/review";
import { markSent } from "../changes/useReview";
import type { Written } from "./Composer";

export interface Outgoing extends Written {
  id: string;
  at: string;
  problem: string | null;
  /** The service's id of one that waits in the queue of the run: it can be taken back. */
  queued?: string;
  /** The comments of the person's review that it is made of. */
  comments?: readonly Comment[];
}

const keyOf = (run: string) => `taskbeacon.outbox.${run}`;

const read = (run: string) => readKept<Outgoing[]>(sessionStorage, keyOf(run)) ?? [];

export function useOutbox(ref: RunRef) {
  const queries = useQueryClient();
  const [list, setList] = useState<Outgoing[]>(() => read(ref.run));
  const change = (next: (before: Outgoing[]) => Outgoing[]) => {
    // Not the state, which a page that is left does not change any more.
    const after = next(read(ref.run));
    sessionStorage.setItem(keyOf(ref.run), JSON.stringify(after));
    setList(after);
  };
  const deliver = async (message: Outgoing) => {
    const set = (problem: string | null) =>
      change((before) => before.map((one) => (one.id === message.id ? { ...one, problem } : one)));
    set(null);
    try {
      const params = { artifact_ids: message.artifactIds, steer: message.isKept ? false : undefined };
      await sendMessage(ref, message.id, { content: message.text || undefined, ...params });
    } catch (error) {
      return set(errorText(error));
    }
    if (message.comments) await markSent(queries, ref, message.comments, message.id);
  };
  const send = (written: Written & Pick<Outgoing, "comments">) => {
    const message = { ...written, id: crypto.randomUUID(), at: new Date().toISOString(), problem: null };
    change((before) => [...before, message]);
    void deliver(message);
  };
  /** Take a message back, unless the agent has got it meanwhile; then it stays. */
  const discard = async ({ id, queued }: Outgoing, onDone = () => {}) => {
    try {
      const isTooLate = queued && (await takeBack(ref, queued)).length === 0;
      if (isTooLate) return say("The agent has the message already.");
    } catch (error) {
      return sayError(error);
    }
    change((before) => before.filter((one) => one.id !== id));
    onDone();
  };
  return { list, send, deliver, discard };
}

export type Outbox = ReturnType<typeof useOutbox>;

/** The messages that the agent has not read, by the service's ids. */
export const unreadOf = ({ receipts }: Transcript) =>
  [...receipts].flatMap(([id, { status }]) => (status === "accepted" ? id : []));

export const nameOfFile = ({ artifacts }: Run, id: string) =>
  artifacts.find((one) => one.id === id)?.name ?? "a file";

/** The messages that wait for the agent, from whichever device they were sent. */
export function useQueue(ref: RunRef, run: Run, transcript: Transcript): Outgoing[] {
  const open = unreadOf(transcript);
  const queue = useQuery({
    queryKey: ["task", ref.task, "queue", ref.run, ...open],
    queryFn: () => fetchQueue(ref),
    enabled: run.status === "in_progress" && open.length > 0,
    placeholderData: keepPreviousData,
  });
  const waiting = queue.data?.filter(({ command_id }) => open.includes(command_id)) ?? [];
  return waiting.map(({ command_id: queued, id, text, artifact_ids: artifactIds }) => ({
    ...{
      id: String(id ?? queued),
      queued,
      text,
      artifactIds,
      files: artifactIds.map((one) => nameOfFile(run, one)),
    },
    ...{ at: "", isKept: false, problem: null },
  }));
}

/** The messages that the transcript does not show yet, with their receipts: those of this page, and of the queue. */
export function waitingMessages(list: Outgoing[], queue: Outgoing[], transcript: Transcript) {
  const own = list.map((one) => ({ ...queue.find(({ id }) => id === one.id), ...one }));
  const others = queue.filter(({ id }) => !list.some((one) => one.id === id));
  return [...own, ...others].flatMap((message) => {
    const command = transcript.commandIds.get(message.id);
    const receipt = receiptOf(message, transcript);
    const isShown = command && transcript.places.has(`user:${command}`);
    // What the agent never got stands in the transcript, unless it was taken back.
    const isGone = receipt.status === "consumed" || receipt.status === "dropped";
    return isShown || isGone ? [] : [{ message, receipt }];
  });
}

function receiptOf(message: Outgoing, transcript: Transcript): Receipt {
  const command = message.queued ?? transcript.commandIds.get(message.id);
  const known = transcript.receipts.get(command ?? "");
  if (known?.status === "consumed") return known;
  if (message.problem) return { status: "failed", reason: message.problem };
  return known ?? { status: "sending", reason: "" };
}

/** The messages that carry a comment; the service knows of one when it has taken it. */
export const messagesWith = (comment: Comment, list: readonly Outgoing[]): string[] => [
  ...(comment.message_id ? [comment.message_id] : []),
  ...list.filter(({ comments }) => comments?.some((sent) => isSame(comment, sent))).map(({ id }) => id),
];

/** How far a message with comments has come, from whichever device; `back`: they can be changed and sent again. */
export function wayOf(id: string, list: Outgoing[], transcript: Transcript, isOver: boolean) {
  const own = list.find((one) => one.id === id);
  const known = transcript.receipts.get(transcript.commandIds.get(id) ?? "");
  const { status } = own ? receiptOf(own, transcript) : (known ?? { status: "sending" });
  if (status === "consumed") return "read";
  return isOver || status === "dropped" || status === "failed" ? "back" : "away";
}
