/** A diff as a table of lines: unified or split, with line numbers and, where wanted, comments between lines. */
import { Fragment, memo, type ReactNode, useMemo } from "react";
import { codeOf, type LineMarks, sidesOf } from "../text/marks";
import { type DiffLine, type Hunk, splitRows } from "../text/patch";
import { classes } from "./classes";
import { CodeLine } from "./code";
import styles from "./diff.module.css";
import { useMarks } from "./highlight";

export type DiffMode = "unified" | "split";

export interface LineActions {
  /** A line is chosen, or with Shift all lines from the one that was chosen before. */
  onPick: (line: DiffLine, isExtending: boolean) => void;
  /** The mouse is pressed on a line, or goes over a line with its button held. */
  onDrag: (line: DiffLine, begins: boolean) => void;
  isPicked: (line: DiffLine) => boolean;
  below: (line: DiffLine) => ReactNode;
}

interface Props {
  hunks: Hunk[];
  mode: DiffMode;
  label: string;
  /** The grammar of the code; null: none. */
  language: string | null;
  actions?: LineActions;
}

const SIGNS = { add: "+", delete: "−", context: " " } as const;

type Marks = ReadonlyMap<number, LineMarks>;

/** The marks of each line: deleted ones are read in the code as it was, all others as it is. */
function useDiffMarks(hunks: Hunk[], language: string | null): Marks {
  const sides = useMemo(() => hunks.map(sidesOf).flatMap((both) => [both.old, both.new]), [hunks]);
  const codes = useMemo(() => sides.map(codeOf), [sides]);
  const marked = useMarks(language, codes);
  return useMemo(() => {
    const byLine = new Map<number, LineMarks>();
    for (const [side, lines] of sides.entries())
      for (const [index, { at }] of lines.entries()) {
        const marks = marked[side]?.[index];
        if (marks) byLine.set(at, marks);
      }
    return byLine;
  }, [sides, marked]);
}

export const Diff = memo(function Diff({ hunks, mode, label, language, actions }: Props) {
  const marks = useDiffMarks(hunks, language);
  const columns = mode === "split" ? 4 : 3;
  return (
    <div
      className={classes(styles.frame, actions && styles.commented)}
      tabIndex={0}
      role="group"
      aria-label={label}
    >
      <table className={classes(styles.diff, mode === "split" && styles.split)}>
        {mode === "split" && (
          <colgroup>
            <col className={styles.numbers} />
            <col />
            <col className={styles.numbers} />
            <col />
          </colgroup>
        )}
        <tbody>
          {hunks.map((hunk, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: hunks have no other identity
            <Fragment key={index}>
              {(index > 0 || hunk.header) && (
                <tr className={styles.hunk}>
                  <td colSpan={columns}>⋯ {hunk.header}</td>
                </tr>
              )}
              {mode === "split" ? (
                <SplitLines hunk={hunk} marks={marks} actions={actions} />
              ) : (
                <UnifiedLines hunk={hunk} marks={marks} actions={actions} />
              )}
            </Fragment>
          ))}
        </tbody>
      </table>
    </div>
  );
});

interface LinesProps {
  hunk: Hunk;
  marks: Marks;
  actions: LineActions | undefined;
}

function UnifiedLines({ hunk, marks, actions }: LinesProps) {
  return hunk.lines.map((line) => (
    <Fragment key={line.at}>
      <tr className={classes(styles[line.kind], actions?.isPicked(line) && styles.picked)}>
        <td className={styles.number}>{line.oldNumber}</td>
        <LineNumber line={line} number={line.newNumber} actions={actions} />
        <Code line={line} marks={marks} />
      </tr>
      <Below lines={[line]} actions={actions} columns={3} />
    </Fragment>
  ));
}

function SplitLines({ hunk, marks, actions }: LinesProps) {
  return splitRows(hunk.lines).map(({ left, right }) => {
    const lines = [left, right].filter((line) => line !== null);
    return (
      <Fragment key={lines[0]?.at}>
        <tr>
          <Side line={left} marks={marks} isOld actions={left === right ? undefined : actions} />
          <Side line={right} marks={marks} actions={actions} />
        </tr>
        <Below lines={left === right ? lines.slice(0, 1) : lines} actions={actions} columns={4} />
      </Fragment>
    );
  });
}

interface SideProps {
  line: DiffLine | null;
  marks: Marks;
  isOld?: boolean;
  actions: LineActions | undefined;
}

function Side({ line, marks, isOld, actions }: SideProps) {
  if (!line) return <td colSpan={2} className={styles.nothing} />;
  return (
    <>
      <LineNumber line={line} number={isOld ? line.oldNumber : line.newNumber} actions={actions} />
      <Code line={line} marks={marks} isPicked={actions?.isPicked(line)} />
    </>
  );
}

interface LineNumberProps {
  line: DiffLine;
  number: number | null;
  actions: LineActions | undefined;
}

function LineNumber({ line, number, actions }: LineNumberProps) {
  const shown = number ?? line.oldNumber;
  return (
    <td className={classes(styles.number, styles[line.kind])}>
      {actions ? (
        <button
          type="button"
          aria-label={`Comment on ${line.kind === "delete" ? "removed line" : "line"} ${shown}`}
          aria-pressed={actions.isPicked(line)}
          onClick={(event) => actions.onPick(line, event.shiftKey)}
          onMouseDown={(event) => event.button === 0 && !event.shiftKey && actions.onDrag(line, true)}
          onMouseEnter={(event) => event.buttons === 1 && actions.onDrag(line, false)}
        >
          {number}
        </button>
      ) : (
        number
      )}
    </td>
  );
}

function Code({ line, marks, isPicked }: { line: DiffLine; marks: Marks; isPicked?: boolean | undefined }) {
  return (
    <td className={classes(styles.code, styles[line.kind], isPicked && styles.picked)}>
      <span className={styles.sign} aria-hidden="true">
        {SIGNS[line.kind]}
      </span>
      {line.kind !== "context" && (
        <span className="visually-hidden">{line.kind === "add" ? "added: " : "removed: "}</span>
      )}
      <CodeLine text={line.text} marks={marks.get(line.at)} />
    </td>
  );
}

interface BelowProps {
  lines: DiffLine[];
  actions: LineActions | undefined;
  columns: number;
}

function Below({ lines, actions, columns }: BelowProps) {
  return lines.map((line) => {
    const content = actions?.below(line);
    return (
      content && (
        <tr key={line.at}>
          <td colSpan={columns} className={styles.below}>
            {content}
          </td>
        </tr>
      )
    );
  });
}
