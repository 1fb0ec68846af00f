import { useQuery } from "@tanstack/react-query";
import { Download } from "lucide-react";
import { memo, useEffect, useMemo, useRef, useState } from "react";
import type { Base } from "../../api/changes";
import type { RunRef } from "../../api/commands";
import type { FileChange } from "../../api/types";
import { languageOfFile } from "../../text/languages";
import { visible } from "../../text/marks";
import * as patches from "../../text/patch";
import { classes } from "../../ui/classes";
import { Button, Check, Chevron } from "../../ui/controls";
import { CopyButton } from "../../ui/copy";
import { countOf } from "../../ui/counts";
import { Diff, type DiffMode, ROW_PX } from "../../ui/diff";
import { useKept } from "../../ui/kept";
import { Near } from "../../ui/near";
import { EditorLink } from "../project/EditorLink";
import { type CommentActions, CommentForm, CommentNote, LeftOut } from "./CommentNote";
import styles from "./changes.module.css";
import { Amount, StatusLetter } from "./FileList";
import { hunksOf, linesOf, placeOf, placeText, type Range, reaching, standingOf } from "./range";
import { headOf, placeThen, type ShownComment, type View } from "./review";
import { linesQuery } from "./useReview";

// A file with more changed lines is opened by a click, so that the next one stays in reach.
const LONG = 1500;
const STEP = 20;
/** Of longer ones, colours would come late: those that are shown are read alone. */
const LONGEST_WHOLE = 60_000;
const NONE: patches.Hunk[] = [];
/** A comment that is being written. */
const NOTHING: { range: Range | null; text: string } = { range: null, text: "" };

interface Props extends CommentActions {
  index: number;
  file: FileChange;
  base: Base;
  /** The patch of the run's own changes, where they are not what is shown. */
  ownPatch?: string | undefined;
  mode: DiffMode;
  hidesSpaces: boolean;
  /** The place of the line that was searched, if it is in this file. */
  found: number | null;
  runRef: RunRef;
  /** Where the whole patch can be had; null: not yet. */
  patchPath: string | null;
  view: View;
  onViewed: (file: FileChange) => void;
  /** Go to another file. */
  onGo: (index: number) => void;
  comments: readonly ShownComment[];
}

export const ChangedFile = memo(function ChangedFile(props: Props) {
  const { index, file: newest, mode, found, runRef, view, comments, onViewed, onGo } = props;
  const [written, keep] = useKept(sessionStorage, `taskbeacon.comment.${runRef.run}.${newest.path}`, NOTHING);
  // Lines do not move while a comment on them is written.
  const held = useRef(newest);
  if (!written.range) held.current = newest;
  const file = held.current;
  const changed = file.additions + file.deletions;
  const [chosen, setChosen] = useState<boolean | null>(null);
  const isOpen = found !== null || (chosen ?? view !== "viewed");
  /** Whether it is folded over comments: keys go to its head then. */
  const isHiding = !isOpen && comments.length > 0;
  const [isUnfolded, setWhole] = useState(changed <= LONG || !newest.patch);
  const isWhole = isUnfolded || found !== null;
  const isKept = written.range !== null || comments.length > 0 || found !== null;
  return (
    <section className={styles.file} data-file={index} aria-label={visible(file.path)}>
      <header className={classes("row sunken", styles.fileHead)} data-comment={isHiding || undefined}>
        <button
          type="button"
          className="row line grow"
          aria-expanded={isOpen}
          onClick={() => setChosen(!isOpen)}
        >
          <Chevron isOpen={isOpen} />
          <StatusLetter status={file.status} />
          {/* Cut at its beginning: names often differ at the end. */}
          <code className="small clip" dir="rtl" title={visible(file.path)}>
            <bdi dir="ltr">
              {file.old_path && <s className="faint">{visible(file.old_path)}</s>} {visible(file.path)}{" "}
              <span className="faint">{kindText(file)}</span>
            </bdi>
          </code>
        </button>
        {isHiding && <span className="small running fixed">{countOf(comments.length, "comment")}</span>}
        {file !== newest && <span className="small attention fixed">paused while you write</span>}
        {view === "changed" && <span className="small attention fixed">changed since viewed</span>}
        <EditorLink path={file.path} />
        <span className="at-desk">
          <CopyButton text={file.path} label={`Copy the path ${visible(file.path)}`} />
        </span>
        <Amount file={file} />
        <Check
          aria-label={`Viewed: ${visible(file.path)}`}
          checked={view === "viewed"}
          onChange={() => {
            setChosen(null);
            onViewed(newest);
            onGo(view === "viewed" ? index : index + 1);
          }}
        >
          Viewed
        </Check>
      </header>
      {isOpen && !isWhole && (
        <p className={"row wrap dim padded"}>
          {changed.toLocaleString("en")} changed lines, folded so that the other files stay in reach.
          <Button onClick={() => setWhole(true)}>Show them</Button>
        </p>
      )}
      {isOpen && isWhole && (
        <Near height={Math.max(1, changed) * ROW_PX} isKept={isKept}>
          {() => <FileDiff {...props} file={file} mode={mode} written={written} keep={keep} />}
        </Near>
      )}
    </section>
  );
});

interface DiffProps extends Props {
  written: typeof NOTHING;
  keep: (written: typeof NOTHING | null) => void;
}

function FileDiff(props: DiffProps) {
  const { file, base, ownPatch, mode, hidesSpaces, found, runRef, patchPath, written, keep } = props;
  const { comments, onComment, onDiscard, onResolve } = props;
  const all = useMemo(() => patches.parseHunks(file.patch ?? ""), [file.patch]);
  const hunks = useMemo(() => hunksOf(file, hidesSpaces), [file, hidesSpaces]);
  const language = languageOfFile(file.path);
  /** Whether the patch does not have all of the file: what its lines belong to may have begun above them. */
  const isPart = hunks.length > 0 && (file.status === "M" || file.status === "R");
  const [opened, setOpened] = useState<ReadonlyMap<number, patches.Opened>>(new Map());
  const isOpen = comments.some(({ resolved }) => !resolved);
  const before = useQuery({
    ...linesQuery(runRef, base, file),
    enabled: opened.size > 0 || (isPart && !file.truncated && (isOpen || language !== null)),
  });
  const lines = before.data && patches.isOf(all, before.data) ? before.data : null;
  const hasGaps = !(file.truncated || before.isError || (before.data !== undefined && !lines));
  const whole = useMemo(() => (lines ? patches.wholeOf(hunks, lines) : hunks), [hunks, lines]);
  const isOwn = ownPatch === undefined;
  const standings = useMemo(() => {
    const known = lines ? patches.wholeOf(all, lines) : all;
    const own = isOwn ? null : patches.parseHunks(ownPatch);
    return comments.map((comment) => ({ comment, there: standingOf(known, comment, own) }));
  }, [all, lines, comments, isOwn, ownPatch]);
  const reached = useMemo(
    () =>
      (lines ? standings : []).reduce(
        (known, { there }) => patches.openedTo(there, hunks, lines ?? [], known),
        opened,
      ),
    [standings, hunks, lines, opened],
  );
  const shown = useMemo(
    () => (hasGaps ? patches.withGaps(hunks, lines, reached) : hunks),
    [hunks, lines, hasGaps, reached],
  );
  const onOpen = ({ id }: patches.Gap, where: "top" | "end" | "all") => {
    const { top, end } = reached.get(id) ?? { top: 0, end: 0 };
    const grown = {
      top: top + (where === "top" ? STEP : 0),
      end: where === "all" ? Number.POSITIVE_INFINITY : end + (where === "end" ? STEP : 0),
    };
    setOpened(new Map(opened).set(id, grown));
  };
  const picked = written.range ? linesOf(shown, written.range) : [];
  const pick = (range: Range | null) => keep(range && { ...written, range });
  const [dragged, onDrag] = useDrag(shown, pick);
  const inRange = dragged ? linesOf(shown, dragged) : picked;
  const anchored = standings.map(({ comment: one, there }) => {
    const last = there.at(-1);
    const isLast = ({ oldNumber, newNumber }: patches.DiffLine) =>
      last?.newNumber ? newNumber === last.newNumber : oldNumber === last?.oldNumber;
    const at = last && shown.flatMap(({ lines }) => lines).find(isLast)?.at;
    const isGone = one.side === "old" && one.isEarlier && isOwn;
    const isOther = one.side === "new" && (lines || !isPart) && !file.truncated;
    const what = isGone ? "removed before this run" : isOther ? "changed since" : "not shown here";
    return { comment: one, there, at, why: `${placeThen(one)}: ${what}.` };
  });
  const below = ({ at }: patches.DiffLine) => {
    const here = anchored.filter((one) => one.at === at);
    const isForm = picked.at(-1)?.at === at;
    if (here.length === 0 && !isForm) return null;
    return (
      <>
        {here.map(({ comment, there }) => (
          <CommentNote key={comment.id} {...{ comment, at: there, onComment, onDiscard, onResolve }} />
        ))}
        {isForm && (
          <CommentForm
            place={placeText(placeOf(picked))}
            text={written.text}
            onText={(text) => keep({ ...written, text })}
            onCancel={() => pick(null)}
            onSave={(text, id) => {
              const created_at = new Date().toISOString();
              onComment({ id, path: file.path, ...placeOf(picked, shown), text, created_at });
              pick(null);
            }}
          />
        )}
      </>
    );
  };
  const isLong = lines !== null && lines.join().length > LONGEST_WHOLE;
  // Beside an empty half nothing is easier to read.
  const isOneSided = file.additions === 0 || file.deletions === 0;
  return (
    <>
      <LeftOut
        notes={before.isLoading ? [] : anchored.filter(({ at }) => at === undefined)}
        {...{ onComment, onDiscard, onResolve }}
      />
      {hunks.length > 0 ? (
        <Diff
          hunks={shown}
          mode={isOneSided ? "unified" : mode}
          name={visible(file.path)}
          language={language}
          whole={before.isLoading ? NONE : isLong ? hunks : whole}
          actions={{
            onPick: ({ at }) => pick(reaching(shown, written.range, at)),
            onDrag,
            isPicked: (line) => inRange.includes(line),
            found,
            below,
            onOpen,
          }}
        />
      ) : (
        <p className={"row wrap dim padded"}>
          {all.length > 0 ? "Only white space has changed." : missingText(file)}
        </p>
      )}
      {file.truncated && (
        <p className={"row wrap dim padded"}>
          {file.patch && "Only the beginning is shown: the file's changes are too large for this page."}
          {patchPath ? (
            <a href={patchPath} download>
              <Download size={14} /> Download the patch
            </a>
          ) : (
            " The patch has all of them when the run is over."
          )}
        </p>
      )}
    </>
  );
}

/** The range that is drawn over line numbers with a mouse; it is picked when the button is let go. */
function useDrag(shown: patches.Hunk[], pick: (range: Range) => void) {
  const from = useRef<number | null>(null);
  const [dragged, setDragged] = useState<Range | null>(null);
  useEffect(() => {
    const end = () => {
      from.current = null;
      if (dragged && dragged.start !== dragged.end) pick(dragged);
      setDragged(null);
    };
    window.addEventListener("pointerup", end);
    return () => window.removeEventListener("pointerup", end);
  }, [dragged, pick]);
  const onDrag = ({ at }: patches.DiffLine, isStart: boolean) => {
    if (isStart) from.current = at;
    else if (from.current !== null)
      setDragged(reaching(shown, { start: from.current, end: from.current }, at));
  };
  return [dragged, onDrag] as const;
}

/** What has changed beside lines, and what is no usual file. */
export function kindText({ patch }: FileChange): string {
  const head = headOf(patch);
  const [, before, after] = /^old mode (\d+)\nnew mode (\d+)$/m.exec(head) ?? [];
  if (before && after) return `mode ${before} → ${after}`;
  if (/^new file mode 100755$/m.test(head)) return "executable";
  return /^(?:(?:new|deleted) file mode|index \S+) 120000$/m.test(head) ? "symbolic link" : "";
}

function missingText(file: FileChange): string {
  if (file.binary && file.truncated) return "The file is too large to be compared.";
  if (file.binary) return "A binary file: its content is not shown.";
  if (file.status === "D") return "The file was deleted.";
  if (!file.patch) return "Its changes are too large to show.";
  if (file.status === "R") return "The file was renamed and not changed.";
  if (kindText(file).startsWith("mode")) return "Only its mode has changed.";
  return file.status === "A" ? "The file is empty." : "No line has changed.";
}
