/** The changed files by their folders. */
import { Check } from "lucide-react";
import { memo, useEffect, useRef, useState } from "react";
import type { FileChange } from "../../api/types";
import { visible } from "../../text/marks";
import { classes } from "../../ui/classes";
import { Input } from "../../ui/controls";
import { Counts, countOf, sizeText } from "../../ui/counts";
import { useKeys } from "../../ui/keys";
import { bring } from "../../ui/near";
import styles from "./changes.module.css";
import { folderOf, type ShownComment, type View } from "./review";

const LETTERS = { A: "added", M: "modified", D: "deleted", R: "renamed" } as const;

/** Of more, one is found by a part of its name. */
const FEW = 8;
const TONES = { A: "success", M: "dim", D: "danger", R: "dim" };

interface Props {
  files: FileChange[];
  /** By path. */
  views: ReadonlyMap<string, View>;
  comments: ReadonlyMap<string, readonly ShownComment[]>;
  current: number;
  onChoose: (index: number) => void;
}

export const FileList = memo(function FileList({ files, views, comments, current, onChoose }: Props) {
  const list = useRef<HTMLUListElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another line is the current one
  useEffect(() => {
    bring(list.current, list.current?.querySelector("[aria-current]"), "sight");
  }, [current]);
  const [name, setName] = useState("");
  const filter = useRef<HTMLInputElement>(null);
  useKeys(files.length > FEW ? { t: ["Find a file by its name", () => filter.current?.focus()] } : {});
  const shown = [...files.entries()].filter(([, { path }]) => visible(path).toLowerCase().includes(name));
  return (
    <nav className={classes("fill", styles.files)} aria-label="Changed files">
      {files.length > FEW && (
        <Input
          ref={filter}
          type="search"
          aria-label="Part of the name of a file"
          placeholder={`Find one of ${files.length} files`}
          onChange={({ target }) => setName(target.value.trim().toLowerCase())}
          onKeyDown={({ key, currentTarget }) => {
            if (key === "Escape") currentTarget.blur();
            if (key === "Enter" && shown[0]) onChoose(shown[0][0]);
          }}
        />
      )}
      {shown.length === 0 && <p className="faint">No file has this name.</p>}
      <ul ref={list} className={classes("scrolls", styles.lines)}>
        {shown.map(([index, file], at) => {
          const folder = folderOf(file.path);
          const isFirst = folder !== folderOf(shown[at - 1]?.[1].path ?? "");
          return (
            <li key={file.path}>
              {isFirst && (
                <div className={classes("clip faint", styles.folder)}>{visible(folder) || "/"}</div>
              )}
              <FileLine
                {...{ file, index, onChoose }}
                isHere={index === current}
                view={views.get(file.path) ?? "new"}
                comments={comments.get(file.path)?.filter(({ sent }) => !sent).length ?? 0}
              />
            </li>
          );
        })}
      </ul>
    </nav>
  );
});

interface LineProps extends Pick<Props, "onChoose"> {
  file: FileChange;
  index: number;
  isHere: boolean;
  view: View;
  comments: number;
}

const FileLine = memo(function FileLine(props: LineProps) {
  const { file, index, isHere, view, comments, onChoose } = props;
  // Cut in the middle: long names often differ at the end.
  const pieces = visible(file.path.slice(folderOf(file.path).length)).split(/(?<=\S)(?=\S.{13}$)/su);
  return (
    <button
      type="button"
      className={classes("row line", styles.fileLine)}
      aria-current={isHere || undefined}
      title={visible(file.path)}
      onClick={() => onChoose(index)}
    >
      <StatusLetter status={file.status} />
      <span className="inline grow" aria-hidden="true">
        <span className="clip">{pieces[0]}</span>
        <span className="fixed">{pieces[1]}</span>
      </span>
      <span className="visually-hidden">
        {visible(file.path)}, {LETTERS[file.status]}
        {view === "viewed" && ", viewed"},{" "}
      </span>
      {comments > 0 && <span className="small running fixed">{countOf(comments, "comment")}</span>}
      {view === "viewed" && <Check size={14} className="success" />}
      {view === "changed" && <span className="small attention fixed">changed since viewed</span>}
      <Amount file={file} />
    </button>
  );
});

export function StatusLetter({ status }: { status: FileChange["status"] }) {
  return (
    <abbr
      className={classes("fixed", styles.letter, TONES[status])}
      title={LETTERS[status]}
      aria-hidden="true"
    >
      {status}
    </abbr>
  );
}

/** How much of a file has changed: lines, or the sizes of a binary one; nothing where its name or mode has. */
export function Amount({ file }: { file: FileChange }) {
  const { status, binary, additions, deletions, old_size, new_size } = file;
  if (!binary) return additions + deletions > 0 && <Counts additions={additions} deletions={deletions} />;
  const sizes = [status === "A" ? null : old_size, status === "D" ? null : new_size];
  const text = sizes.flatMap((size) => (size === null ? [] : sizeText(size))).join(" → ");
  return <span>{text || "binary"}</span>;
}
