/**
 * Messages on their way: shown from the moment they are sent until the agent has them, found again by the ids of
 * their receipts, never by their text. They survive a reload of the tab.
 */
import { useCallback, useState } from "react";
import { type RunRef, sendMessage } from "../../api/commands";
import { errorText } from "../../api/errors";
import type { Transcript } from "../../transcript/append";
import type { Receipt } from "../../transcript/items";

export interface Outgoing {
  id: string;
  text: string;
  files: string[];
  artifactIds: string[];
  at: string;
  problem: string | null;
}

const keyOf = (run: string) => `taskbeacon.outbox.${run}`;

function read(run: string): Outgoing[] {
  try {
    const value = JSON.parse(sessionStorage.getItem(keyOf(run)) ?? "[]");
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

export function useOutbox(ref: RunRef) {
  const [list, setList] = useState<Outgoing[]>(() => read(ref.run));
  const change = useCallback(
    (next: (before: Outgoing[]) => Outgoing[]) =>
      setList((before) => {
        const after = next(before);
        sessionStorage.setItem(keyOf(ref.run), JSON.stringify(after));
        return after;
      }),
    [ref.run],
  );
  const deliver = useCallback(
    async (message: Outgoing) => {
      const set = (problem: string | null) =>
        change((before) => before.map((one) => (one.id === message.id ? { ...one, problem } : one)));
      set(null);
      try {
        await sendMessage(ref, message.id, message.text, message.artifactIds);
      } catch (error) {
        set(errorText(error));
      }
    },
    [change, ref],
  );
  const send = useCallback(
    (text: string, files: string[], artifactIds: string[]) => {
      const id = crypto.randomUUID();
      const message = { id, text, files, artifactIds, at: new Date().toISOString(), problem: null };
      change((before) => [...before, message]);
      void deliver(message);
    },
    [change, deliver],
  );
  const discard = useCallback(
    (id: string) => change((before) => before.filter((one) => one.id !== id)),
    [change],
  );
  return { list, send, retry: deliver, discard };
}

/** The messages that the transcript does not show yet, with their receipts. */
export function waitingMessages(
  list: Outgoing[],
  transcript: Transcript,
): { message: Outgoing; receipt: Receipt }[] {
  return list.flatMap((message) => {
    const command = transcript.commandIds.get(message.id);
    if (command && transcript.places.has(`user:${command}`)) return [];
    const known = command ? transcript.receipts.get(command) : undefined;
    if (known?.status === "consumed") return [];
    const receipt: Receipt = message.problem
      ? { status: "failed", reason: message.problem }
      : (known ?? { status: "sending", reason: "" });
    return [{ message, receipt }];
  });
}
