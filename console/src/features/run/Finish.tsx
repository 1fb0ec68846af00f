/** Asks before a run is finished while its person has written what is not sent. */
import { useQueryClient } from "@tanstack/react-query";
import { type RefObject, useState } from "react";
import type { RunRef } from "../../api/commands";
import type { Review } from "../../api/types";
import { Button } from "../../ui/controls";
import { countOf } from "../../ui/counts";
import { Dialog } from "../../ui/dialog";
import { readKept } from "../../ui/kept";
import { useAction } from "../../ui/unmeant";
import { changesQuery, messageOf, remarkOf } from "../changes/useReview";
import type { Outbox } from "./outbox";
import { hasDraft } from "./useDraft";
import type { RunActions } from "./useRunActions";

/** Return the actions of a run with one that finishes it, and asks first where that leaves out something. */
export function useFinish(
  { finish, ...actions }: RunActions,
  ref: RunRef,
  outbox: Outbox,
  field: RefObject<HTMLTextAreaElement | null>,
): RunActions {
  const queries = useQueryClient();
  const [unsent, setUnsent] = useState<string | null>(null);
  const drafts = () =>
    queries.getQueryData<Review>(["review", ref.run])?.comments.filter((one) => !one.message_id) ?? [];
  const ask = () => {
    const [messages, comments] = [Number(hasDraft(ref.run)), drafts().length];
    const parts = [messages && "1 message", comments && countOf(comments, "draft comment")];
    if (messages + comments === 0) return finish();
    setUnsent(`${parts.filter(Boolean).join(" and ")} ${messages + comments === 1 ? "is" : "are"} not sent.`);
  };
  const send = useAction({
    mutationFn: async () => {
      const comments = drafts();
      if (comments.length > 0) {
        const { files } = await queries.fetchQuery(changesQuery(queries, ref, "start"));
        const remark = readKept<{ text: string }>(sessionStorage, remarkOf(ref.run))?.text ?? "";
        const text = await messageOf(comments, remark, files, queries, ref, "start");
        outbox.send({ text, comments, files: [], artifactIds: [], isKept: false });
        sessionStorage.removeItem(remarkOf(ref.run));
      }
      if (hasDraft(ref.run)) field.current?.form?.requestSubmit();
    },
    onSuccess: () => setUnsent(null),
  });
  const dialog = unsent && (
    <Dialog title="Finish the run?" onClose={() => setUnsent(null)}>
      <p>{unsent}</p>
      <footer className="row wrap spaced">
        <Button data-autofocus tone="primary" disabled={send.isPending} onClick={() => send.mutate()}>
          Send and wait
        </Button>
        <Button onClick={() => [setUnsent(null), finish()]}>Finish without</Button>
      </footer>
    </Dialog>
  );
  return { ...actions, finish: ask, dialog: dialog || actions.dialog };
}
