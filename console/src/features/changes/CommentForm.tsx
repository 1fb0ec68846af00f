import { ChevronDown, ChevronUp } from "lucide-react";
import { Button, IconButton, TextArea } from "../../ui/controls";
import styles from "./changes.module.css";

interface Props {
  /** What the comment is about, in words. */
  place: string;
  text: string;
  onText: (text: string) => void;
  /** Adds a line above or below. */
  onExtend: (by: 1 | -1) => void;
  onSave: (text: string) => void;
  onCancel: () => void;
}

export function CommentForm({ place, text, onText, onExtend, onSave, onCancel }: Props) {
  const isReady = text.trim() !== "";
  return (
    <form
      className={styles.commentForm}
      onSubmit={(event) => {
        event.preventDefault();
        if (isReady) onSave(text.trim());
      }}
    >
      <p className={styles.commentPlace}>
        <span>Comment on {place}</span>
        <IconButton data-repeats label="One line more above" onClick={() => onExtend(-1)}>
          <ChevronUp size={16} />
        </IconButton>
        <IconButton data-repeats label="One line more below" onClick={() => onExtend(1)}>
          <ChevronDown size={16} />
        </IconButton>
      </p>
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
