/** A comment of the review, where it stands. */
import { Check, Pencil, RotateCcw, Send, X } from "lucide-react";
import { type ReactNode, useState } from "react";
import { visible } from "../../text/marks";
import { classes } from "../../ui/classes";
import { IconButton } from "../../ui/controls";
import { Markdown } from "../../ui/markdown";
import { CommentForm } from "./CommentForm";
import styles from "./changes.module.css";
import { keptCode, placeText, quoteOf } from "./range";
import type { Comment, ShownComment } from "./review";

/** How much of a comment names its buttons. */
const NAMED = 40;
const QUOTED = 400;

export interface CommentActions {
  onComment: (comment: Comment) => void;
  onDiscard: (comments: readonly Comment[]) => void;
  onResolve: (comment: ShownComment) => void;
}

type NoteProps = CommentActions & { comment: ShownComment };

/** A comment that stands at no line; `children` say why. */
export function StaleNote({ children, ...note }: NoteProps & { children: ReactNode }) {
  const { sent, asked, resolved } = note.comment;
  const isOpen = !resolved && (!sent || asked !== undefined);
  const code = !resolved && (asked?.length ? quoteOf(asked).code : keptCode(note.comment));
  return (
    <div className={classes("column tight", isOpen ? styles.stale : "padded")}>
      <p className={isOpen ? "small attention" : "small faint"}>{children}</p>
      {code && <pre className="well small">{visible(code.slice(0, QUOTED))}</pre>}
      <CommentNote {...note} />
    </div>
  );
}

export function CommentNote({ comment: shown, onComment, onDiscard, onResolve }: NoteProps) {
  const { sent, isUntouched, ...comment } = shown;
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
    <div className={classes("row card raised", styles.comment)} data-comment={comment.id} tabIndex={-1}>
      <div className="grow">
        {comment.start_line !== comment.line && <p className="small dim">On {placeText(comment)}</p>}
        <div className={classes(sent && "dim", comment.resolved && "clip")}>
          {comment.resolved ? visible(comment.text) : <Markdown text={comment.text} />}
        </div>
        {sent && (
          <p className={classes("row tight small", isUntouched ? "attention" : "faint")}>
            <Send size={13} /> {sent}
            {comment.resolved && " · Resolved"}
          </p>
        )}
      </div>
      {sent && shown.from?.isOwn !== false && (
        <IconButton
          label={`${comment.resolved ? "Reopen" : "Resolve"} the comment: ${name}`}
          onClick={() => onResolve(shown)}
          icon={comment.resolved ? RotateCcw : Check}
        />
      )}
      {/* What the agent reads is not changed, and not taken back, by what is done here. */}
      {!sent && (
        <IconButton label={`Edit the comment: ${name}`} onClick={() => setText(comment.text)} icon={Pencil} />
      )}
      {!sent && (
        <IconButton label={`Discard the comment: ${name}`} onClick={() => onDiscard([comment])} icon={X} />
      )}
    </div>
  );
}
