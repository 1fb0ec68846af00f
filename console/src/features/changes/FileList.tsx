/** The changed files as a tree of folders. */
import { Check } from "lucide-react";
import type { FileChange } from "../../api/types";
import { classes } from "../../ui/classes";
import { Counts } from "../../ui/counts";
import styles from "./changes.module.css";
import { fingerprint } from "./review";
import { treeOf } from "./tree";

const LETTERS = { A: "added", M: "modified", D: "deleted", R: "renamed" } as const;

interface Props {
  files: FileChange[];
  isViewed: (path: string, mark: string) => boolean;
  current: number;
  onChoose: (index: number) => void;
}

export function FileList({ files, isViewed, current, onChoose }: Props) {
  return (
    <ul className={styles.tree} aria-label="Changed files">
      {treeOf(files).map((row) =>
        row.index === null ? (
          <li
            key={`folder:${row.path}`}
            className={styles.folder}
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
            isViewed={isViewed}
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
  isViewed: Props["isViewed"];
  onChoose: () => void;
}

function FileLine({ file, name, depth, isHere, isViewed, onChoose }: LineProps) {
  const seen = isViewed(file.path, fingerprint(file));
  return (
    <li>
      <button
        type="button"
        className={classes(styles.fileLine, isHere && styles.here)}
        style={{ paddingLeft: 8 + depth * 14 }}
        onClick={onChoose}
      >
        <StatusLetter status={file.status} />
        <span className={styles.name}>{name}</span>
        {seen && <Check size={14} aria-label="viewed" />}
        <Counts additions={file.additions} deletions={file.deletions} />
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
