import { X } from "lucide-react";
import { memo, useMemo, useState } from "react";
import type { FileChange } from "../../api/types";
import { languageOfFile } from "../../text/languages";
import { type DiffLine, parseHunks } from "../../text/patch";
import { Check, Chevron, IconButton } from "../../ui/controls";
import { Diff, type DiffMode } from "../../ui/diff";
import { useKept } from "../../ui/kept";
import { CommentForm } from "./CommentForm";
import styles from "./changes.module.css";
import { Amount, StatusLetter } from "./FileList";
import { anchorOf, placeOf, placeText, type Range } from "./range";
import type { Comment, viewOf } from "./review";
import { useRange } from "./useRange";

// A diff of more lines is opened by a click: laying it out would stop the page.
const LONG = 1500;

/** A comment that is being written. */
const NOTHING: { range: Range | null; text: string } = { range: null, text: "" };

interface Props {
  index: number;
  file: FileChange;
  mode: DiffMode;
  /** Under what a comment is kept while it is written. */
  place: string;
  /** Whether its lines have the numbers of the file. */
  hasNumbers: boolean;
  view: ReturnType<typeof viewOf>;
  onViewed: (file: FileChange) => void;
  comments: Comment[];
  onComment: (comment: Omit<Comment, "id">) => void;
  onRemove: (id: string) => void;
}

export const ChangedFile = memo(function ChangedFile(props: Props) {
  const { index, file, mode, place, hasNumbers, view, onViewed, comments, onComment, onRemove } = props;
  const isLong = file.additions + file.deletions > LONG;
  const [chosen, setChosen] = useState<boolean | null>(null);
  const isOpen = chosen ?? !(view === "viewed" || isLong);
  const hunks = useMemo(() => (isOpen && file.patch ? parseHunks(file.patch) : []), [isOpen, file.patch]);
  const [written, keep] = useKept(sessionStorage, `${place}.${file.path}`, NOTHING);
  const range = useRange(hunks, written.range, (chosen) => keep(chosen && { ...written, range: chosen }));
  const { lines: picked } = range;
  // Beside an empty half nothing is easier to read.
  const isOneSided = file.additions === 0 || file.deletions === 0;
  const own = comments.filter(({ path }) => path === file.path);
  const anchored = own.map((comment) => ({ comment, anchor: anchorOf(hunks, comment)?.at ?? null }));
  const below = ({ at }: DiffLine) => {
    const here = anchored.filter(({ anchor }) => anchor === at);
    const isForm = picked.at(-1)?.at === at && !range.isDragging;
    if (here.length === 0 && !isForm) return null;
    return (
      <>
        {here.map(({ comment }) => (
          <CommentNote key={comment.id} comment={comment} onRemove={onRemove} />
        ))}
        {isForm && (
          <CommentForm
            place={placeText(placeOf(picked))}
            text={written.text}
            onText={(text) => keep({ ...written, text })}
            onExtend={range.extend}
            onCancel={range.clear}
            onSave={(text) => {
              onComment({ path: file.path, ...placeOf(picked), hasNumbers, text });
              range.clear();
            }}
          />
        )}
      </>
    );
  };
  const { onPick, onDrag, isPicked } = range;
  return (
    <section className={styles.file} data-file={index} aria-label={file.path}>
      <header className={styles.fileHead}>
        <button
          type="button"
          className={styles.fileTitle}
          aria-expanded={isOpen}
          onClick={() => setChosen(!isOpen)}
        >
          <Chevron isOpen={isOpen} />
          <StatusLetter status={file.status} />
          <span className={styles.path}>
            {file.old_path && <s>{file.old_path}</s>} {file.path}
          </span>
        </button>
        {view === "changed" && <span className={styles.again}>changed again</span>}
        <Amount file={file} />
        <Check
          aria-label={`Viewed: ${file.path}`}
          checked={view === "viewed"}
          onChange={() => {
            onViewed(file);
            setChosen(null);
          }}
        >
          Viewed
        </Check>
      </header>
      {isOpen &&
        anchored.map(
          ({ comment, anchor }) =>
            anchor === null && (
              <div key={comment.id} className={styles.stale}>
                <p>The lines of this comment ({placeText(comment)}) have changed since.</p>
                <CommentNote comment={comment} onRemove={onRemove} />
              </div>
            ),
        )}
      {isOpen &&
        (hunks.length > 0 ? (
          <Diff
            hunks={hunks}
            mode={isOneSided ? "unified" : mode}
            label={`Changes of ${file.path}`}
            language={languageOfFile(file.path)}
            actions={{ onPick, onDrag, isPicked, below }}
          />
        ) : (
          <p className={styles.none}>{missingText(file)}</p>
        ))}
      {isOpen && file.truncated && file.patch && <p className={styles.none}>Only the beginning is shown.</p>}
    </section>
  );
});

function missingText(file: FileChange): string {
  if (file.binary) return "A binary file: its content is not shown.";
  if (file.status === "D") return "The file was deleted.";
  if (!file.patch) return "Too large to show. Download the patch.";
  if (file.status === "R") return "The file was renamed and not changed.";
  const mode = /^new mode (\d+)$/m.exec(file.patch)?.[1];
  if (mode) return `Only its mode has changed, to ${mode}.`;
  return file.status === "A" ? "The file is empty." : "No line has changed.";
}

function CommentNote({ comment, onRemove }: { comment: Comment; onRemove: (id: string) => void }) {
  return (
    <div className={styles.comment}>
      <p>
        {comment.from !== comment.to && <span className={styles.commentPlace}>On {placeText(comment)}</span>}
        <span>{comment.text}</span>
      </p>
      <IconButton label="Remove the comment" onClick={() => onRemove(comment.id)}>
        <X size={14} />
      </IconButton>
    </div>
  );
}
