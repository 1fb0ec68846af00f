/** Says what is left out when a run is ended or its task put away: what is not read, and what is not sent. */
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

const areNot = (count: number, done: string) => `${count === 1 ? "is" : "are"} not ${done}`;

/** Return the actions of a run; those that leave out something say so. `unread`: how many messages wait for the agent. */
export function useFinish(
  { finish, ...actions }: RunActions,
  ref: RunRef,
  outbox: Outbox,
  field: RefObject<HTMLTextAreaElement | null>,
  unread: number,
): RunActions {
  const queries = useQueryClient();
  const [unsent, setUnsent] = useState<string | null>(null);
  const drafts = () =>
    queries.getQueryData<Review>(["review", ref.run])?.comments.filter((one) => !one.message_id) ?? [];
  const late = unread > 0 ? `${countOf(unread, "message")} ${areNot(unread, "read yet")}` : "";
  const leftOut = () => {
    const [messages, comments] = [Number(hasDraft(ref.run)), drafts().length];
    const parts = [messages && "1 message", comments && countOf(comments, "draft comment")].filter(Boolean);
    const written = parts.length > 0 && `${parts.join(" and ")} ${areNot(messages + comments, "sent")}.`;
    return [written, late && `${late}, and will not be delivered if the run ends.`].filter(Boolean).join(" ");
  };
  const ask = () => (leftOut() ? setUnsent(leftOut()) : finish());
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
          {drafts().length > 0 || hasDraft(ref.run) ? "Send and wait" : "Wait"}
        </Button>
        <Button onClick={() => [setUnsent(null), finish()]}>Finish without</Button>
      </footer>
    </Dialog>
  );
  return {
    ...actions,
    late,
    finish: ask,
    archive: () => actions.archive(leftOut()),
    remove: () => actions.remove(leftOut()),
    dialog: dialog || actions.dialog,
  };
}
