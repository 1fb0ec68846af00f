import { useQueryClient } from "@tanstack/react-query";
import { Ellipsis, Send } from "lucide-react";
import { useState } from "react";
import type { Base } from "../../api/changes";
import type { RunRef } from "../../api/commands";
import type { FileChange, Run } from "../../api/types";
import { classes } from "../../ui/classes";
import { Button, IconButton, TextArea } from "../../ui/controls";
import { countOf } from "../../ui/counts";
import { say } from "../../ui/feedback";
import { useKept } from "../../ui/kept";
import { useMedia } from "../../ui/media";
import { useAction } from "../../ui/unmeant";
import { isOver } from "../project/runState";
import type { CommentActions } from "./CommentNote";
import styles from "./changes.module.css";
import type { Comment } from "./review";
import { markSent, messageOf, remarkOf } from "./useReview";

const NO_REMARK = { text: "" };

export interface Sending {
  run: Run;
  runRef: RunRef;
  /** Resume the run with a message; `onStarted` gets the id of the new run. */
  onResume: (message: string, onStarted: (run: string) => void) => void;
  isBusy: boolean;
  onSend: (message: string, comments: readonly Comment[]) => void;
  /** Shows the conversation, where the pane hides it. */
  onConversation: (() => void) | undefined;
}

interface Props extends Sending, Pick<CommentActions, "onDiscard"> {
  base: Base;
  files: FileChange[];
  comments: readonly Comment[];
  /** Whether the service has all comments. */
  isStored: boolean;
}

/** Sends the comments of a review, with a remark on the whole: to the agent or, if the run is over, to a new run. */
export function SendBar(props: Props) {
  const { run, runRef, base, files, comments, isStored, isBusy, onConversation } = props;
  const queries = useQueryClient();
  const over = isOver(run);
  const [remark, keepRemark] = useKept(sessionStorage, remarkOf(run.id), NO_REMARK);
  // On a phone the bar is one line, and the diff has the rest.
  const isPhone = useMedia("(max-width: 760px)");
  const [isOpened, setOpened] = useState(remark.text !== "");
  const isOpen = isOpened || !isPhone;
  const submit = useAction({
    mutationFn: async () => {
      const message = await messageOf(comments, remark.text, files, queries, runRef, base);
      if (over)
        return props.onResume(message, (started) => {
          keepRemark(null);
          say("A new run continues with your comments.");
          void markSent(queries, runRef, comments, `run:${started}`);
        });
      props.onSend(message, comments);
      keepRemark(null);
      say("Your comments are on their way to the agent.", "info", onConversation, "Show the conversation");
    },
  });
  return (
    <footer className={classes("row wrap", styles.send)} data-bar>
      {isOpen && (
        <>
          <TextArea
            className={styles.remark}
            aria-label="Remark on the whole"
            placeholder="On the whole (optional)"
            value={remark.text}
            onChange={(event) => keepRemark({ text: event.target.value })}
          />
          <Button tone="quiet" onClick={() => props.onDiscard(comments)}>
            Discard
          </Button>
        </>
      )}
      {isPhone && (
        <IconButton
          label={isOpened ? "Hide the remark" : "Add a remark, or discard"}
          aria-expanded={isOpened}
          onClick={() => setOpened(!isOpened)}
          icon={Ellipsis}
        />
      )}
      <span className="clip grow">{countOf(comments.length, "comment")}</span>
      <Button tone="primary" disabled={isBusy || !isStored} onClick={() => submit.mutate()}>
        <Send size={14} className="at-desk" /> {over ? "Send back: new run" : "Send to the agent"}
      </Button>
    </footer>
  );
}
