import { ChevronRight, X } from "lucide-react";
import { memo, useMemo, useState } from "react";
import type { FileChange } from "../../api/types";
import { type DiffLine, parseHunks } from "../../text/patch";
import { classes } from "../../ui/classes";
import { Button, Check, IconButton, TextArea } from "../../ui/controls";
import { Counts } from "../../ui/counts";
import { Diff, type DiffMode } from "../../ui/diff";
import styles from "./changes.module.css";
import { StatusLetter } from "./FileList";
import { type Comment, placeOf } from "./review";

// A diff of more lines is opened by a click: laying it out would stop the page.
const LONG = 1500;

interface Props {
  index: number;
  file: FileChange;
  mode: DiffMode;
  isViewed: boolean;
  onViewed: (file: FileChange) => void;
  comments: Comment[];
  onComment: (comment: Omit<Comment, "id">) => void;
  onRemove: (id: string) => void;
}

export const ChangedFile = memo(function ChangedFile(props: Props) {
  const { index, file, mode, isViewed, onViewed, comments, onComment, onRemove } = props;
  const isLong = file.additions + file.deletions > LONG;
  const [chosen, setChosen] = useState<boolean | null>(null);
  const [picked, setPicked] = useState<DiffLine | null>(null);
  const isOpen = chosen ?? !(isViewed || isLong);
  const hunks = useMemo(() => (isOpen && file.patch ? parseHunks(file.patch) : []), [isOpen, file.patch]);
  // Beside an empty half nothing is easier to read.
  const isOneSided = file.additions === 0 || file.deletions === 0;
  const own = comments.filter(({ path }) => path === file.path);
  const actions = {
    onPick: setPicked,
    below: (line: DiffLine) => {
      const { number, side } = placeOf(line);
      const here = own.filter((one) => one.number === number && one.side === side);
      const isPicked = picked?.oldNumber === line.oldNumber && picked?.newNumber === line.newNumber;
      if (here.length === 0 && !isPicked) return null;
      return (
        <>
          {here.map((comment) => (
            <p key={comment.id} className={styles.comment}>
              <span>{comment.text}</span>
              <IconButton label="Remove the comment" onClick={() => onRemove(comment.id)}>
                <X size={14} />
              </IconButton>
            </p>
          ))}
          {isPicked && (
            <CommentForm
              onCancel={() => setPicked(null)}
              onSave={(text) => {
                onComment({ path: file.path, ...placeOf(line), text });
                setPicked(null);
              }}
            />
          )}
        </>
      );
    },
  };
  return (
    <section className={styles.file} data-file={index} aria-label={file.path}>
      <header className={styles.fileHead}>
        <button
          type="button"
          className={styles.fileTitle}
          aria-expanded={isOpen}
          onClick={() => setChosen(!isOpen)}
        >
          <ChevronRight
            size={14}
            aria-hidden="true"
            className={classes(styles.chevron, isOpen && styles.down)}
          />
          <StatusLetter status={file.status} />
          <span className={styles.path}>
            {file.old_path && <s>{file.old_path}</s>} {file.path}
          </span>
        </button>
        <Counts additions={file.additions} deletions={file.deletions} />
        <Check
          checked={isViewed}
          onChange={() => {
            onViewed(file);
            setChosen(null);
          }}
        >
          Viewed
        </Check>
      </header>
      {isOpen &&
        (file.patch ? (
          <Diff
            hunks={hunks}
            mode={isOneSided ? "unified" : mode}
            label={`Changes of ${file.path}`}
            actions={actions}
          />
        ) : (
          <p className={styles.none}>
            {file.binary
              ? "A binary file: its content is not shown."
              : "Too large to show. Download the patch."}
          </p>
        ))}
      {isOpen && file.truncated && file.patch && <p className={styles.none}>Only the beginning is shown.</p>}
    </section>
  );
});

function CommentForm({ onSave, onCancel }: { onSave: (text: string) => void; onCancel: () => void }) {
  const [text, setText] = useState("");
  const isReady = text.trim() !== "";
  return (
    <form
      className={styles.commentForm}
      onSubmit={(event) => {
        event.preventDefault();
        if (isReady) onSave(text.trim());
      }}
    >
      <TextArea
        autoFocus
        aria-label="Comment on this line"
        rows={3}
        value={text}
        onChange={(event) => setText(event.target.value)}
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
