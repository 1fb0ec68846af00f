/** A diff as tables of lines: unified or split, with line numbers and, where wanted, comments and gaps that open. */
import { ChevronsDown, ChevronsUp, UnfoldVertical } from "lucide-react";
import { Fragment, memo, type ReactNode, useMemo, useRef } from "react";
import { codeOf, type LineMarks, pairsOf, sidesOf, wordsOf } from "../text/marks";
import { type DiffLine, type Gap, type Hunk, type SplitRow, splitRows } from "../text/patch";
import { classes, scrolling } from "./classes";
import { CodeLine } from "./code";
import { IconButton } from "./controls";
import { countOf } from "./counts";
import styles from "./diff.module.css";
import { useMarks } from "./highlight";
import { Near } from "./near";

export type DiffMode = "unified" | "split";

export interface LineActions {
  onPick: (line: DiffLine) => void;
  /** The mouse is pressed on the number of a line, or comes to it with its button pressed. */
  onDrag: (line: DiffLine, isStart: boolean) => void;
  isPicked: (line: DiffLine) => boolean;
  /** The place of the line that was searched, and is drawn wherever it is. */
  found: number | null;
  below: (line: DiffLine) => ReactNode;
  /** Opens a gap at its top, at its end, or all of it. */
  onOpen: (gap: Gap, where: "top" | "end" | "all") => void;
}

interface Props {
  hunks: Hunk[];
  mode: DiffMode;
  /** Of the file; names all that can be pressed. */
  name: string;
  /** The grammar of the code; null: none. */
  language: string | null;
  /** All lines of the file, where they are known: what a line belongs to may have begun far above it. */
  whole?: readonly Hunk[];
  actions?: LineActions;
}

const SIGNS = { add: "+", delete: "−", context: " " } as const;
/** How many rows are drawn at once, and how high about one is. */
const ROWS = 30;
export const ROW_PX = 24;

type Marks = ReadonlyMap<number, LineMarks>;

/** The marks of each line: deleted ones are read in the code as it was, all others as it is. */
function useDiffMarks(hunks: readonly Hunk[], language: string | null): Marks {
  const sides = useMemo(() => hunks.flatMap(sidesOf), [hunks]);
  const marked = useMarks(
    language,
    useMemo(() => sides.map(codeOf), [sides]),
  );
  // Lines keep their marks while more lines are shown around them.
  const known = useRef<Marks>(new Map());
  return useMemo(() => {
    const marks = sides.flatMap((lines) => {
      const found = marked.get(codeOf(lines)) ?? [];
      return found.map((marks, index) => [lines[index]?.at ?? 0, marks] as const);
    });
    known.current = new Map([...known.current, ...marks]);
    return known.current;
  }, [sides, marked]);
}

/** What all rows of a diff are drawn with. */
interface Shared {
  mode: DiffMode;
  name: string;
  marks: Marks;
  /** By changed line: the one that it was, or has become. */
  beside: ReadonlyMap<DiffLine, DiffLine>;
  actions: LineActions | undefined;
}

export const Diff = memo(function Diff({ hunks, mode, name, language, whole = hunks, actions }: Props) {
  const marks = useDiffMarks(whole, language);
  const [pieces, beside] = useMemo(() => layOut(hunks, mode), [hunks, mode]);
  const shared = { mode, name, marks, beside, actions };
  return (
    <div className={classes(styles.frame, actions && styles.commented)} {...scrolling(`Changes of ${name}`)}>
      {hunks.map((hunk, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: hunks have no other identity
        <Fragment key={index}>
          {(index > 0 || hunk.header || hunk.gap) && (
            <Between hunk={hunk} after={hunks[index - 1]?.lines.at(-1)} {...shared} />
          )}
          {pieces[index]?.map((rows) => (
            <Piece key={(rows[0]?.left ?? rows[0]?.right)?.at} rows={rows} {...shared} />
          ))}
        </Fragment>
      ))}
    </div>
  );
});

/** The rows of each hunk in pieces, and which changed lines stand for each other. */
function layOut(hunks: Hunk[], mode: DiffMode) {
  const beside = new Map<DiffLine, DiffLine>();
  const pieces = hunks.map((hunk) => {
    for (const [removed, added] of pairsOf(hunk)) beside.set(removed, added).set(added, removed);
    const { lines } = hunk;
    const rows = mode === "split" ? splitRows(lines) : lines.map((line) => ({ left: line, right: line }));
    return Array.from({ length: Math.ceil(rows.length / ROWS) }, (_, at) =>
      rows.slice(at * ROWS, (at + 1) * ROWS),
    );
  });
  return [pieces, beside] as const;
}

/** What is left out before a hunk, and its header. */
function Between({ hunk, after, name, actions }: Shared & { hunk: Hunk; after: DiffLine | undefined }) {
  const { gap, header, lines } = hunk;
  const size = gap?.size ?? null;
  const placeOf = (word: string, line: DiffLine | undefined) =>
    `${word} line ${line?.newNumber ?? line?.oldNumber} of ${name}`;
  const [above, below] = [placeOf("after", after), placeOf("before", lines[0])];
  const isLast = lines.length === 0;
  const ways = [
    ["top", ChevronsDown, `Show 20 lines more ${above}`, gap && gap.id > 0],
    ["end", ChevronsUp, `Show 20 lines more ${below}`, size !== null && !isLast],
    ["all", UnfoldVertical, `Show all lines ${isLast ? above : below}`, true],
  ] as const;
  return (
    <div className={classes("row sunken faint", styles.hunk)}>
      {gap &&
        actions &&
        ways.map(
          ([way, icon, label, isThere]) =>
            isThere && (
              <IconButton
                key={way}
                data-repeats={way !== "all" || undefined}
                {...{ label, icon }}
                onClick={() => actions.onOpen(gap, way)}
              />
            ),
        )}
      <span>
        ⋯ {size !== null ? countOf(size, "line") : gap && "to the end of the file"}
        {header && <code> · {header}</code>}
      </span>
    </div>
  );
}

function Piece({ rows, ...shared }: Shared & { rows: SplitRow[] }) {
  const { mode, actions } = shared;
  const lines = rows.flatMap(({ left, right }) => [left, ...(left === right ? [] : [right])]);
  const isKept = lines.some((line) => line && (line.at === actions?.found || actions?.below(line)));
  const draw = () => (
    <table className={styles.diff}>
      <colgroup>
        <col className={styles.numbers} />
        <col className={mode === "split" ? undefined : styles.numbers} />
        {mode === "split" && <col className={styles.numbers} />}
        <col />
      </colgroup>
      <tbody>
        {rows.map(({ left, right }) => {
          const line = left ?? right;
          if (!line) return null;
          return (
            <Fragment key={line.at}>
              {mode === "split" ? (
                <tr>
                  <Side line={left} isOld {...shared} actions={left === right ? undefined : actions} />
                  <Side line={right} {...shared} />
                </tr>
              ) : (
                <tr>
                  <td className={classes(styles.number, styles[line.kind])}>{line.oldNumber}</td>
                  <Side line={line} {...shared} />
                </tr>
              )}
              {[left, left === right ? null : right].map((one) => {
                const below = one && actions?.below(one);
                if (!below) return null;
                return (
                  <tr key={one.at}>
                    <td colSpan={mode === "split" ? 4 : 3} className={styles.below}>
                      {below}
                    </td>
                  </tr>
                );
              })}
            </Fragment>
          );
        })}
      </tbody>
    </table>
  );
  if (rows.length < ROWS) return draw();
  return (
    <Near height={rows.length * ROW_PX} isKept={isKept}>
      {draw}
    </Near>
  );
}

function Side({ line, isOld = false, ...shared }: Shared & { line: DiffLine | null; isOld?: boolean }) {
  const { name, actions } = shared;
  if (!line) return <td colSpan={2} className="sunken" />;
  const number = isOld ? line.oldNumber : line.newNumber;
  return (
    <>
      <td
        className={classes(styles.number, styles[line.kind])}
        onPointerDown={({ button, pointerType }) =>
          button === 0 && pointerType === "mouse" && actions?.onDrag(line, true)
        }
        onPointerEnter={({ buttons }) => buttons === 1 && actions?.onDrag(line, false)}
      >
        {actions ? (
          <button
            type="button"
            data-repeats
            aria-label={`Comment on ${line.kind === "delete" ? "removed line" : "line"} ${number ?? line.oldNumber} of ${name}`}
            aria-pressed={actions.isPicked(line)}
            onClick={() => actions.onPick(line)}
          >
            {number}
          </button>
        ) : (
          number
        )}
      </td>
      <Code line={line} {...shared} />
    </>
  );
}

function Code({ line, marks, beside, actions }: Shared & { line: DiffLine }) {
  const { kind, text, at } = line;
  const other = beside.get(line)?.text;
  const words = useMemo(() => {
    if (other === undefined) return undefined;
    return kind === "add" ? wordsOf(other, text).after : wordsOf(text, other).before;
  }, [kind, text, other]);
  const isMarked = actions?.isPicked(line) || actions?.found === at;
  return (
    <td className={classes(styles.code, styles[kind], isMarked && styles.picked)} data-row={at}>
      <span className={styles.sign} aria-hidden="true">
        {SIGNS[kind]}
      </span>
      {kind !== "context" && (
        <span className="visually-hidden">{kind === "add" ? "added: " : "removed: "}</span>
      )}
      <CodeLine text={text} marks={marks.get(at)} words={words} />
    </td>
  );
}
