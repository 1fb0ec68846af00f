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
import { draftsOf, hasDraft, unsentText } from "../project/drafts";
import type { Outbox } from "./outbox";
import type { RunActions } from "./useRunActions";

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
  const drafts = () => draftsOf(queries.getQueryData<Review>(["review", ref.run]));
  const late = unread > 0 ? `${countOf(unread, "message")} ${unread === 1 ? "is" : "are"} not read yet` : "";
  const leftOut = () => {
    const written = unsentText(Number(hasDraft(ref.run)), drafts().length);
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
