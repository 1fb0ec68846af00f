/**
 * Messages on their way: shown from the moment they are sent until the agent has them, found again by the ids of
 * their receipts, never by their text. They survive a reload of the tab.
 */
import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { type RunRef, sendMessage } from "../../api/commands";
import { errorText } from "../../api/errors";
import type { Transcript } from "../../transcript/append";
import type { Receipt } from "../../transcript/items";
import { readKept } from "../../ui/kept";
import { type Comment, isSame } from "../changes/review";
import { markSent } from "../changes/useReview";
import type { Written } from "./Composer";

export interface Outgoing extends Written {
  id: string;
  at: string;
  problem: string | null;
  /** The comments of the person's review that it is made of. */
  comments?: readonly Comment[];
}

const keyOf = (run: string) => `taskbeacon.outbox.${run}`;

const read = (run: string) => readKept<Outgoing[]>(sessionStorage, keyOf(run)) ?? [];

/**
 * The service takes no message back that it has accepted. So one that shall come after the turn is kept here, where it
 * can be changed, and sent when the agent waits (`isIdle`).
 */
export function useOutbox(ref: RunRef, isIdle: boolean) {
  const queries = useQueryClient();
  const [list, setList] = useState<Outgoing[]>(() => read(ref.run));
  const change = useCallback(
    (next: (before: Outgoing[]) => Outgoing[]) => {
      // Not the state, which a page that is left does not change any more.
      const after = next(read(ref.run));
      sessionStorage.setItem(keyOf(ref.run), JSON.stringify(after));
      setList(after);
    },
    [ref.run],
  );
  const deliver = useCallback(
    async (message: Outgoing) => {
      const set = (changes: Partial<Outgoing>) =>
        change((before) => before.map((one) => (one.id === message.id ? { ...one, ...changes } : one)));
      set({ isKept: false, problem: null });
      try {
        await sendMessage(ref, message.id, message.text, message.artifactIds);
      } catch (error) {
        return set({ problem: errorText(error) });
      }
      if (message.comments) await markSent(queries, ref, message.comments, message.id);
    },
    [change, queries, ref],
  );
  const send = (written: Written & Pick<Outgoing, "comments">) => {
    const message = { ...written, id: crypto.randomUUID(), at: new Date().toISOString(), problem: null };
    change((before) => [...before, message]);
    if (!message.isKept) void deliver(message);
  };
  const discard = (id: string) => change((before) => before.filter((one) => one.id !== id));
  const isSending = useRef(false);
  useEffect(() => {
    const next = list.find(({ isKept }) => isKept);
    if (!isIdle || !next || isSending.current) return;
    // One for each turn, in their order.
    isSending.current = true;
    void deliver(next).finally(() => {
      isSending.current = false;
    });
  }, [isIdle, list, deliver]);
  return { list, send, deliver, discard };
}

export type Outbox = ReturnType<typeof useOutbox>;

const KEPT: Receipt = { status: "kept", reason: "this page sends it then, if it is still open" };
const TOO_LATE: Receipt = { status: "failed", reason: "the run has ended" };

/** The messages that the transcript does not show yet, with their receipts. `isOver`: no turn of the run will end. */
export function waitingMessages(
  list: Outgoing[],
  transcript: Transcript,
  isOver: boolean,
): { message: Outgoing; receipt: Receipt }[] {
  return list.flatMap((message) => {
    const command = transcript.commandIds.get(message.id);
    const receipt = receiptOf(message, transcript, isOver);
    const isShown = command && transcript.places.has(`user:${command}`);
    return isShown || receipt.status === "consumed" ? [] : [{ message, receipt }];
  });
}

function receiptOf(message: Outgoing, transcript: Transcript, isOver: boolean): Receipt {
  const known = transcript.receipts.get(transcript.commandIds.get(message.id) ?? "");
  if (known?.status === "consumed") return known;
  if (message.isKept) return isOver ? TOO_LATE : KEPT;
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
  const { status } = own ? receiptOf(own, transcript, isOver) : (known ?? { status: "sending" });
  if (status === "consumed") return "read";
  return isOver || status === "dropped" || status === "failed" ? "back" : "away";
}
