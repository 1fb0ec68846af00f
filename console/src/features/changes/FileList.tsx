/** The changed files as a tree of folders. */
import { Check } from "lucide-react";
import type { FileChange } from "../../api/types";
import { classes } from "../../ui/classes";
import { Counts, sizeText } from "../../ui/counts";
import styles from "./changes.module.css";
import type { viewOf } from "./review";
import { treeOf } from "./tree";

const LETTERS = { A: "added", M: "modified", D: "deleted", R: "renamed" } as const;

const VIEWS = { viewed: "viewed", changed: "changed again", new: "" } as const;

interface Props {
  files: FileChange[];
  viewOf: (file: FileChange) => ReturnType<typeof viewOf>;
  current: number;
  onChoose: (index: number) => void;
}

export function FileList({ files, viewOf, current, onChoose }: Props) {
  return (
    <ul className={styles.tree} aria-label="Changed files">
      {treeOf(files).map((row) =>
        row.index === null ? (
          <li
            key={`folder:${row.path}`}
            className={styles.folder}
            title={`${row.name}/`}
            style={{ paddingLeft: 8 + row.depth * 14 }}
          >
            {row.name}/
          </li>
        ) : (
          <FileLine
            key={row.path}
            file={files[row.index] as FileChange}
            name={row.name}
            depth={row.depth}
            isHere={row.index === current}
            view={viewOf(files[row.index] as FileChange)}
            onChoose={() => onChoose(row.index ?? 0)}
          />
        ),
      )}
    </ul>
  );
}

interface LineProps {
  file: FileChange;
  name: string;
  depth: number;
  isHere: boolean;
  view: ReturnType<typeof viewOf>;
  onChoose: () => void;
}

function FileLine({ file, name, depth, isHere, view, onChoose }: LineProps) {
  return (
    <li>
      <button
        type="button"
        className={classes(styles.fileLine, isHere && styles.here)}
        aria-label={[file.path, LETTERS[file.status], amountText(file), VIEWS[view]]
          .filter(Boolean)
          .join(", ")}
        style={{ paddingLeft: 8 + depth * 14 }}
        onClick={onChoose}
      >
        <StatusLetter status={file.status} />
        <span className={styles.name}>{name}</span>
        {view === "viewed" && <Check size={14} />}
        {view === "changed" && (
          <span className={styles.again} title="Viewed before it changed again">
            {VIEWS.changed}
          </span>
        )}
        <Amount file={file} />
      </button>
    </li>
  );
}

export function StatusLetter({ status }: { status: FileChange["status"] }) {
  return (
    <abbr className={styles.letter} data-status={status} title={LETTERS[status]}>
      {status}
    </abbr>
  );
}

/** How much of a file has changed: lines, or the sizes of a binary one; empty where its name or mode alone has. */
function amountText({ status, binary, additions, deletions, old_size, new_size }: FileChange): string {
  if (!binary) return additions + deletions > 0 ? `+${additions} −${deletions}` : "";
  const sizes = [status === "A" ? null : old_size, status === "D" ? null : new_size];
  return sizes.flatMap((size) => (size === null ? [] : sizeText(size))).join(" → ") || "binary";
}

export function Amount({ file }: { file: FileChange }) {
  const text = amountText(file);
  if (!text || file.binary) return <span>{text}</span>;
  return <Counts additions={file.additions} deletions={file.deletions} />;
}
