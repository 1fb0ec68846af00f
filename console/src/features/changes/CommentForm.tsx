import { classes } from "../../ui/classes";
import { Button, Form, TextArea } from "../../ui/controls";
import styles from "./changes.module.css";

interface Props {
  /** Whether the comment is there already. */
  isKnown?: boolean;
  /** What the comment is about, in words. */
  place: string;
  text: string;
  onText: (text: string) => void;
  onSave: (text: string) => void;
  onCancel: () => void;
}

export function CommentForm({ isKnown = false, place, text, onText, onSave, onCancel }: Props) {
  const isReady = text.trim() !== "";
  return (
    <Form className={classes("column", styles.commentForm)} onSubmit={() => isReady && onSave(text.trim())}>
      {!isKnown && <p className="small dim">Comment on {place}; another line makes it reach to there.</p>}
      <TextArea
        autoFocus
        aria-label={`Comment on ${place}`}
        rows={3}
        value={text}
        onChange={(event) => onText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") onCancel();
          else if (event.key === "Enter" && (event.metaKey || event.ctrlKey) && isReady) onSave(text.trim());
        }}
      />
      <div className="row ends">
        <Button tone="quiet" onClick={onCancel}>
          Cancel
        </Button>
        <Button tone="primary" type="submit" disabled={!isReady}>
          {isKnown ? "Save the comment" : "Add the comment"}
        </Button>
      </div>
    </Form>
  );
}
