/** What a run has changed: files, their diffs, marks of what was viewed, and comments that go to the agent as one message. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Columns2, FileDiff, ListTree, LoaderCircle, Maximize2, Minimize2, Rows2, Send } from "lucide-react";
import { useCallback, useDeferredValue, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { type Base, fetchChanges } from "../../api/changes";
import { downloadPath, type RunRef } from "../../api/commands";
import type { FileChange, Run } from "../../api/types";
import { visible } from "../../text/marks";
import { isOf, parseHunks, withGaps } from "../../text/patch";
import { classes } from "../../ui/classes";
import { Button, IconButton, Select } from "../../ui/controls";
import { Counts } from "../../ui/counts";
import type { DiffMode } from "../../ui/diff";
import { Empty, Failure, Loading, say } from "../../ui/feedback";
import { useKept } from "../../ui/kept";
import { useKeys } from "../../ui/keys";
import { useMedia, useNarrow } from "../../ui/media";
import { useAction } from "../../ui/unmeant";
import { isOver, noChangesText, patchOf } from "../project/runState";
import { basesOf, continues, missingOf } from "./bases";
import { ChangedFile } from "./ChangedFile";
import { StaleNote } from "./CommentNote";
import styles from "./changes.module.css";
import { FileList } from "./FileList";
import { anchorOf, openedFor, placeText } from "./range";
import { type Comment, inOrder, reviewMessage, type ShownComment, viewOf } from "./review";
import { usePlace } from "./usePlace";
import { linesQuery, useReview } from "./useReview";

const SINCE_START: { base: Base } = { base: "start" };
const UNIFIED: { mode: DiffMode } = { mode: "unified" };
const AGAIN_MS = 1500;
const FRESH_MS = 4000;
const FULL = "Use the whole width";
const BESIDE = "Show the conversation beside it";
const NOTHING: FileChange[] = [];
const NONE: readonly ShownComment[] = [];
const NO_GAPS = new Map();
const FIRST = 20;
const TWO_COLUMNS_PX = 900;

interface Props {
  run: Run;
  runRef: RunRef;
  /** Changes with the workspace of a run that is not over, as its stream says it. */
  tree: string | null;
  /** Whether the pane takes the whole width; where it always does, that cannot be changed. */
  isFull: boolean;
  onFull: ((isFull: boolean) => void) | undefined;
  /** Resume the run with a message; `onStarted` gets the id of the new run. */
  onResume: (message: string, onStarted: (run: string) => void) => void;
  isBusy: boolean;
  /** Send a message that gets this id. */
  onSend: (message: string, id: string) => void;
  /** Shows the conversation, where the pane hides it. */
  onConversation: (() => void) | undefined;
  /** How far a message with comments has come, in words; empty: it was not read, and will not be. */
  sentText: (message: string) => string;
}

export default function ChangesPane(props: Props) {
  const { run, runRef, tree, isFull, onFull, onResume, isBusy, onSend, onConversation, sentText } = props;
  const queries = useQueryClient();
  const over = isOver(run);
  const [chosen, setBase] = useKept(sessionStorage, `taskbeacon.base.${runRef.task}`, SINCE_START);
  const bases = basesOf(run);
  const base = bases.some(([name]) => name === chosen.base) ? chosen.base : "start";
  const changes = useQuery({
    queryKey: ["task", runRef.task, "diff", run.id, base],
    queryFn: () => fetchChanges(runRef, base),
    refetchInterval: ({ state }) => (missingOf(state.data, base).passes ? AGAIN_MS : false),
    staleTime: over ? Number.POSITIVE_INFINITY : 0,
  });
  const { refetch } = changes;
  const isOld = tree !== null && changes.data?.source === "live" && changes.data.tree !== tree;
  useEffect(() => {
    if (!isOld || !tree) return;
    void refetch();
    // What is said is that the run's own changes are new: others may have been compared a moment before.
    const again = base === "start" ? undefined : setTimeout(refetch, FRESH_MS);
    return () => clearTimeout(again);
  }, [isOld, tree, refetch, base]);
  const [{ mode: wanted }, keep] = useKept(localStorage, "taskbeacon.diff", UNIFIED);
  const { review, toggleViewed, write, markSent, discard, isStored } = useReview(runRef);
  const kept = review?.comments ?? NONE;
  const texts = kept.map(({ message_id: message }) => (message ? sentText(message) : "")).join();
  const comments = useMemo(() => {
    const text = texts.split(",");
    return kept.map((one, index) => ({ ...one, sent: text[index] ?? "" }));
  }, [kept, texts]);
  const unsent = comments.filter(({ sent }) => !sent);
  const commentsByPath = useMemo(() => Map.groupBy(comments, ({ path }) => path), [comments]);
  const files = useMemo(() => inOrder(changes.data?.files ?? NOTHING), [changes.data?.files]);
  const views = useMemo(() => {
    const viewed = new Map(review?.viewed.map(({ path, hash }) => [path, hash]));
    return new Map(files.map((file) => [file.path, viewOf(viewed, file)]));
  }, [files, review?.viewed]);
  // What is in sight is there at once. Many come a moment later: each answer to the page makes their drawing begin again.
  const whole = useDeferredValue(files, NOTHING);
  const drawn = whole.length > 0 ? whole : files.slice(0, FIRST);
  /** The lines that a comment is about; between the hunks of a patch they are those of the file. */
  const quoted = async (comment: Comment) => {
    const file = files.find(({ path }) => path === comment.path);
    const hunks = parseHunks(file?.patch ?? "");
    const lines = anchorOf(hunks, comment);
    if (!file || file.truncated || lines.length > 0) return lines;
    const before = await queries.fetchQuery(linesQuery(runRef, base, file)).catch(() => null);
    if (!before || !isOf(hunks, before)) return [];
    return anchorOf(withGaps(hunks, before, openedFor([comment], hunks, before, NO_GAPS)), comment);
  };
  const submit = useAction({
    mutationFn: async () => {
      const quotes = await Promise.all(unsent.map(async (one) => [one, await quoted(one)] as const));
      const message = reviewMessage(quotes);
      if (over) {
        onResume(message, (started) => {
          say("A new run continues with your comments.");
          markSent(unsent, `run:${started}`, true);
        });
        return;
      }
      const id = crypto.randomUUID();
      markSent(unsent, id, false);
      onSend(message, id);
      say("Your comments are on their way to the agent.", "info", onConversation, "Show the conversation");
    },
  });
  const list = useRef<HTMLDivElement>(null);
  const { at, onScroll, stay, go, goToComment } = usePlace(list);
  const isPhone = useMedia("(max-width: 760px)");
  const [isNarrow, pane] = useNarrow(TWO_COLUMNS_PX);
  const mode = isNarrow ? "unified" : wanted;
  const [isListed, setListed] = useState(!isPhone);
  const choose = useCallback(
    (index: number) => {
      go(index);
      // There it would cover what was chosen.
      if (isPhone) setListed(false);
    },
    [go, isPhone],
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: all heights change with the width
  useLayoutEffect(stay, [isFull, mode]);
  const view = () => {
    if (!files[at]) return;
    toggleViewed(files[at]);
    go(at + 1);
  };
  useKeys({
    j: ["Next file", () => go(at + 1)],
    k: ["File before", () => go(at - 1)],
    n: ["Next comment", () => goToComment(1)],
    N: ["Comment before", () => goToComment(-1)],
    v: ["Mark the file as viewed, and go to the next", view],
    ...(onFull ? { f: [isFull ? BESIDE : FULL, () => onFull(!isFull)] as const } : {}),
  });

  if (changes.isPending) return <Loading what="the changes" />;
  if (!changes.data) return <Failure error={changes.error} onRetry={() => changes.refetch()} />;
  const { text: missing, passes: isAskedAgain } = missingOf(changes.data, base);
  const left = isAskedAgain ? NONE : comments.filter(({ path }) => !views.has(path));
  const sum = (key: "additions" | "deletions") => files.reduce((total, file) => total + file[key], 0);
  const viewedCount = [...views.values()].filter((view) => view === "viewed").length;
  const isLive = changes.data.source === "live";
  return (
    <div className={styles.changes} ref={pane}>
      {(files.length > 0 || bases.length > 1) && (
        <header className={classes("row", styles.head)}>
          {files.length > 1 && (
            <IconButton
              label={isListed ? "Hide the list of files" : "List the files"}
              aria-expanded={isListed}
              onClick={() => setListed(!isListed)}
            >
              <ListTree size={16} />
            </IconButton>
          )}
          <span className="clip grow small dim">
            {files.length > 1 && !isPhone && `${at + 1} of `}
            {files.length === 1 ? "1 file" : `${files.length} files`}
            {files.length > 0 && (
              <>
                {" · "}
                <span className={styles.viewed}>{viewedCount} viewed · </span>
                <Counts additions={sum("additions")} deletions={sum("deletions")} />
              </>
            )}
          </span>
          {bases.length > 1 && (
            <Select
              aria-label="Changes of"
              className={styles.base}
              value={base}
              choices={bases}
              onChoose={(value) => setBase({ base: value as Base })}
            />
          )}
          {isLive && !over && (
            <span className="row tight small running" title="The workspace of the run as it is now">
              <LoaderCircle size={14} /> Live
            </span>
          )}
          {!isNarrow && (
            <IconButton
              label={mode === "split" ? "Show in one column" : "Show side by side"}
              onClick={() => keep({ mode: mode === "split" ? "unified" : "split" })}
            >
              {mode === "split" ? <Rows2 size={16} /> : <Columns2 size={16} />}
            </IconButton>
          )}
          {onFull && (
            <IconButton label={isFull ? BESIDE : FULL} onClick={() => onFull(!isFull)}>
              {isFull ? <Minimize2 size={16} /> : <Maximize2 size={16} />}
            </IconButton>
          )}
        </header>
      )}
      {changes.data.left_out.length > 0 && (
        <p className={classes("dim", styles.none)}>
          {!missing && "Left out: "}
          {changes.data.left_out.join(", ")}
        </p>
      )}
      {files.length === 0 && (
        <Empty icon={FileDiff} title={over ? "No changes" : "No changes yet"}>
          <p>
            {missing ?? (over ? noChangesText(run) : "What the agent changes appears here as it happens.")}
          </p>
          {bases.length > 1 && base === "start" && continues(run) && (
            <Button onClick={() => setBase({ base: "first" })}>Show the whole branch</Button>
          )}
        </Empty>
      )}
      {files.length + left.length > 0 && (
        <div className={styles.body}>
          {isListed && files.length > 1 && (
            <FileList files={drawn} views={views} current={at} onChoose={choose} />
          )}
          <div
            className={styles.list}
            ref={list}
            data-scrolls
            tabIndex={0}
            role="group"
            aria-label="Diffs"
            onScroll={onScroll}
          >
            {left.map((comment) => (
              <StaleNote key={comment.id} comment={comment} onComment={write} onDiscard={discard}>
                {visible(comment.path)}, {placeText(comment)}: not in this diff.
              </StaleNote>
            ))}
            {drawn.map((file, index) => (
              <ChangedFile
                {...{ index, file, base, runRef }}
                key={file.path}
                mode={mode}
                patchPath={patchPathOf(run, runRef)}
                view={views.get(file.path) ?? "new"}
                onViewed={toggleViewed}
                comments={commentsByPath.get(file.path) ?? NONE}
                onComment={write}
                onDiscard={discard}
              />
            ))}
          </div>
        </div>
      )}
      {unsent.length > 0 && (
        <footer className={classes("row wrap", styles.send)} data-bar>
          <span className="grow">{unsent.length === 1 ? "1 comment" : `${unsent.length} comments`}</span>
          <Button tone="quiet" onClick={() => discard(unsent)}>
            Discard
          </Button>
          <Button tone="primary" disabled={isBusy || !isStored} onClick={() => submit.mutate()}>
            <Send size={14} /> {over ? "Send back: starts a new run" : "Send to the agent"}
          </Button>
        </footer>
      )}
    </div>
  );
}

function patchPathOf(run: Run, ref: RunRef): string | null {
  const patch = patchOf(run);
  return patch ? downloadPath(ref, patch.storage_path) : null;
}
