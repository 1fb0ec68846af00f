/** A comment of the review, where it stands. */
import { Pencil, Send, X } from "lucide-react";
import { type ReactNode, useState } from "react";
import { classes } from "../../ui/classes";
import { IconButton } from "../../ui/controls";
import { CommentForm } from "./CommentForm";
import styles from "./changes.module.css";
import { placeText } from "./range";
import type { Comment, ShownComment } from "./review";

/** How much of a comment names its buttons. */
const NAMED = 40;

interface NoteProps {
  comment: ShownComment;
  onComment: (comment: Comment) => void;
  onDiscard: (comments: readonly Comment[]) => void;
}

/** A comment that stands at no line; `children` say why. */
export function StaleNote({ children, ...note }: NoteProps & { children: ReactNode }) {
  return (
    <div className={note.comment.sent ? undefined : styles.stale}>
      <p className={note.comment.sent ? "small faint" : "small attention"}>{children}</p>
      <CommentNote {...note} />
    </div>
  );
}

export function CommentNote({ comment: { sent, ...comment }, onComment, onDiscard }: NoteProps) {
  const [text, setText] = useState<string | null>(null);
  const name = comment.text.slice(0, NAMED);
  if (text !== null && !sent)
    return (
      <CommentForm
        id={comment.id}
        place={placeText(comment)}
        text={text}
        onText={setText}
        onCancel={() => setText(null)}
        onSave={(text) => {
          onComment({ ...comment, text, message_id: null });
          setText(null);
        }}
      />
    );
  return (
    <div className={classes("row card raised", styles.comment)} data-comment={comment.id}>
      <div className="grow">
        {comment.start_line !== comment.line && <p className="small dim">On {placeText(comment)}</p>}
        <p className={sent && "dim"}>{comment.text}</p>
        {sent && (
          <p className="row tight small faint">
            <Send size={13} /> {sent}
          </p>
        )}
      </div>
      {!sent && (
        <IconButton label={`Edit the comment: ${name}`} onClick={() => setText(comment.text)}>
          <Pencil size={14} />
        </IconButton>
      )}
      <IconButton label={`Discard the comment: ${name}`} onClick={() => onDiscard([comment])}>
        <X size={14} />
      </IconButton>
    </div>
  );
}
