/** A diff as a table of lines: unified or split, with line numbers and, where wanted, comments between lines. */
import { Fragment, memo, type ReactNode } from "react";
import { type DiffLine, type Hunk, splitRows } from "../text/patch";
import { classes } from "./classes";
import styles from "./diff.module.css";

export type DiffMode = "unified" | "split";

export interface LineActions {
  onPick: (line: DiffLine) => void;
  below: (line: DiffLine) => ReactNode;
}

interface Props {
  hunks: Hunk[];
  mode: DiffMode;
  label: string;
  actions?: LineActions;
}

const SIGNS = { add: "+", delete: "−", context: " " } as const;

export const Diff = memo(function Diff({ hunks, mode, label, actions }: Props) {
  const columns = mode === "split" ? 4 : 3;
  return (
    <div
      className={classes(styles.frame, actions && styles.commented)}
      tabIndex={0}
      role="group"
      aria-label={label}
    >
      <table className={classes(styles.diff, mode === "split" && styles.split)}>
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
                <SplitLines hunk={hunk} actions={actions} />
              ) : (
                <UnifiedLines hunk={hunk} actions={actions} />
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
  actions: LineActions | undefined;
}

const keyOf = (line: DiffLine) => `${line.oldNumber ?? ""}:${line.newNumber ?? ""}`;

function UnifiedLines({ hunk, actions }: LinesProps) {
  return hunk.lines.map((line) => (
    <Fragment key={keyOf(line)}>
      <tr className={styles[line.kind]}>
        <td className={styles.number}>{line.oldNumber}</td>
        <LineNumber line={line} number={line.newNumber} actions={actions} />
        <Code line={line} />
      </tr>
      <Below lines={[line]} actions={actions} columns={3} />
    </Fragment>
  ));
}

function SplitLines({ hunk, actions }: LinesProps) {
  return splitRows(hunk.lines).map(({ left, right }) => {
    const lines = [left, right].filter((line) => line !== null);
    return (
      <Fragment key={lines.map(keyOf).join("|")}>
        <tr>
          <Side line={left} number={left?.oldNumber ?? null} actions={left === right ? undefined : actions} />
          <Side line={right} number={right?.newNumber ?? null} actions={actions} />
        </tr>
        <Below lines={left === right ? lines.slice(0, 1) : lines} actions={actions} columns={4} />
      </Fragment>
    );
  });
}

function Side({
  line,
  number,
  actions,
}: {
  line: DiffLine | null;
  number: number | null;
  actions: LineActions | undefined;
}) {
  if (!line) return <td colSpan={2} className={styles.nothing} />;
  return (
    <>
      <LineNumber line={line} number={number} actions={actions} />
      <Code line={line} />
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
        <button type="button" aria-label={`Comment on line ${shown}`} onClick={() => actions.onPick(line)}>
          {number}
        </button>
      ) : (
        number
      )}
    </td>
  );
}

function Code({ line }: { line: DiffLine }) {
  return (
    <td className={classes(styles.code, styles[line.kind])}>
      <span className={styles.sign} aria-hidden="true">
        {SIGNS[line.kind]}
      </span>
      {line.kind !== "context" && (
        <span className="visually-hidden">{line.kind === "add" ? "added: " : "removed: "}</span>
      )}
      {line.text}
    </td>
  );
}

function Below({
  lines,
  actions,
  columns,
}: {
  lines: DiffLine[];
  actions: LineActions | undefined;
  columns: number;
}) {
  const content = actions ? lines.map((line) => [keyOf(line), actions.below(line)] as const) : [];
  return content.map(
    ([key, node]) =>
      node && (
        <tr key={key}>
          <td colSpan={columns} className={styles.below}>
            {node}
          </td>
        </tr>
      ),
  );
}
