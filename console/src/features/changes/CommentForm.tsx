import { useState } from "react";
import { flushSync } from "react-dom";
import { Button, Form, TextArea } from "../../ui/controls";

interface Props {
  /** Of the comment, if it is there already. */
  id?: string;
  place: string;
  text: string;
  onText: (text: string) => void;
  onSave: (text: string, id: string) => void;
  onCancel: () => void;
}

export function CommentForm({ id: known, place, text, onText, onSave, onCancel }: Props) {
  const isReady = text.trim() !== "";
  const [id] = useState(() => known ?? crypto.randomUUID());
  const save = () => {
    if (!isReady) return;
    flushSync(() => onSave(text.trim(), id));
    document.querySelector<HTMLElement>(`[data-comment="${id}"] button`)?.focus();
  };
  return (
    <Form className="column" onSubmit={save}>
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
