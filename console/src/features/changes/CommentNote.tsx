/** A comment of the review, where it stands, and the form that it is written in. */
import { Check, Pencil, RotateCcw, Send, SquarePen, X } from "lucide-react";
import { Fragment, useState } from "react";
import { flushSync } from "react-dom";
import { visible } from "../../text/marks";
import type { DiffLine } from "../../text/patch";
import { classes } from "../../ui/classes";
import { Button, Chevron, Form, IconButton, TextArea } from "../../ui/controls";
import { countOf } from "../../ui/counts";
import { Markdown } from "../../ui/markdown";
import styles from "./changes.module.css";
import { isAbout, keptCode, placeOf, placeText } from "./range";
import type { Comment, ShownComment } from "./review";

/** How much of a comment names its buttons. */
const NAMED = 40;

export interface CommentActions {
  onComment: (comment: Comment) => void;
  onDiscard: (comments: readonly Comment[]) => void;
  onResolve: (comment: ShownComment) => void;
}

type LeftProps = CommentActions & { notes: readonly { comment: ShownComment; why: string }[] };

/** Comments that stand at no line of what is shown, and why; one line, until it is opened. */
export function LeftOut({ notes, ...actions }: LeftProps) {
  const [isOpen, setOpen] = useState(false);
  if (notes.length === 0) return null;
  const unresolved = notes.filter(({ comment }) => !comment.resolved).length;
  const text = `${countOf(notes.length, "comment")} on lines that are not in these changes`;
  return (
    <div className={classes("column tight snug", unresolved > 0 && styles.stale)}>
      <button
        type="button"
        className={classes("row line small", unresolved > 0 ? "attention" : "dim")}
        aria-expanded={isOpen}
        data-comment={isOpen ? undefined : ""}
        onClick={() => setOpen(!isOpen)}
      >
        <Chevron isOpen={isOpen} /> <span className="clip">{text}</span>{" "}
        <span className="fixed">· {unresolved > 0 ? `${unresolved} unresolved` : "resolved"}</span>
      </button>
      {isOpen &&
        notes.map(({ comment, why }) => (
          <Fragment key={comment.id}>
            <p className="small">{why}</p>
            <CommentNote {...{ comment, ...actions }} />
          </Fragment>
        ))}
    </div>
  );
}

interface NoteProps extends CommentActions {
  comment: ShownComment;
  /** Where it stands; absent: nowhere. */
  at?: readonly DiffLine[];
}

export function CommentNote({ comment: shown, at, onComment, onDiscard, onResolve }: NoteProps) {
  const { sent, isChanged, ...comment } = shown;
  const place = at ? placeOf(at) : comment;
  const code = !comment.resolved && !(at && isAbout(at, comment)) && keptCode(shown);
  const [text, setText] = useState<string | null>(null);
  const name = comment.text.slice(0, NAMED);
  if (text !== null && !sent)
    return (
      <CommentForm
        id={comment.id}
        place={placeText(place)}
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
    <div className={classes("row top card raised", styles.comment)} data-comment={comment.id} tabIndex={-1}>
      <div className="grow">
        {place.start_line !== place.line && <p className="small dim">On {placeText(place)}</p>}
        {code && at && <p className="small attention">Made on what has changed since:</p>}
        {code && <pre className="well small">{visible(code)}</pre>}
        <div className={classes(sent && "dim", comment.resolved && "clip")}>
          {comment.resolved ? visible(comment.text) : <Markdown text={comment.text} />}
        </div>
        <p className={classes("row tight small", !sent || isChanged === false ? "attention" : "faint")}>
          {sent ? <Send size={13} /> : <SquarePen size={13} />} {sent || "Not sent yet"}
          {isChanged !== undefined && (isChanged ? ": changed here" : ": nothing changed here")}
          {comment.resolved && " · Resolved"}
        </p>
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
        <>
          <IconButton
            label={`Edit the comment: ${name}`}
            onClick={() => setText(comment.text)}
            icon={Pencil}
          />
          <IconButton label={`Discard the comment: ${name}`} onClick={() => onDiscard([comment])} icon={X} />
        </>
      )}
    </div>
  );
}

interface FormProps {
  /** Of the comment, if it is there already. */
  id?: string;
  place: string;
  text: string;
  onText: (text: string) => void;
  onSave: (text: string, id: string) => void;
  onCancel: () => void;
}

const intoView = (form: HTMLFormElement | null) => form?.scrollIntoView?.({ block: "nearest" });

export function CommentForm({ id: known, place, text, onText, onSave, onCancel }: FormProps) {
  const isReady = text.trim() !== "";
  const [id] = useState(() => known ?? crypto.randomUUID());
  const save = () => {
    if (!isReady) return;
    flushSync(() => onSave(text.trim(), id));
    document.querySelector<HTMLElement>(`[data-comment="${id}"] button`)?.focus();
  };
  return (
    <Form className="column" onSubmit={save} ref={intoView}>
      {!known && <p className="small dim">Comment on {place}; another line makes it reach to there.</p>}
      <TextArea
        autoFocus
        aria-label={`Comment on ${place}`}
        rows={3}
        value={text}
        onChange={(event) => onText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") onCancel();
          if (event.key !== "Enter" || !(event.metaKey || event.ctrlKey)) return;
          event.preventDefault();
          save();
        }}
      />
      <div className="row ends">
        <Button tone="quiet" onClick={onCancel}>
          Cancel
        </Button>
        <Button tone="primary" type="submit" disabled={!isReady}>
          {known ? "Save the comment" : "Add the comment"}
        </Button>
      </div>
    </Form>
  );
}
