import { Button, TextArea } from "../../ui/controls";
import styles from "./changes.module.css";

interface Props {
  /** What the comment is about, in words. */
  place: string;
  text: string;
  onText: (text: string) => void;
  onSave: (text: string) => void;
  onCancel: () => void;
}

export function CommentForm({ place, text, onText, onSave, onCancel }: Props) {
  const isReady = text.trim() !== "";
  return (
    <form
      className={styles.commentForm}
      onSubmit={(event) => {
        event.preventDefault();
        if (isReady) onSave(text.trim());
      }}
    >
      <p className={styles.commentPlace}>Comment on {place}; another line makes it reach to there.</p>
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
      <div>
        <Button tone="quiet" onClick={onCancel}>
          Cancel
        </Button>
        <Button tone="primary" type="submit" disabled={!isReady}>
          Add the comment
        </Button>
      </div>
    </form>
  );
}
