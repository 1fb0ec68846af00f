/** What a run changed: files, their diffs, marks of what was viewed, and comments that go to the agent as one message. */
import { useQuery } from "@tanstack/react-query";
import { ArrowRight, Columns2, FileDiff, LoaderCircle, Rows2, Send } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { fetchChanges } from "../../api/changes";
import { type RunRef, sendMessage } from "../../api/commands";
import type { FileChange, Run } from "../../api/types";
import type { Item } from "../../transcript/items";
import { Button, IconButton } from "../../ui/controls";
import type { DiffMode } from "../../ui/diff";
import { Empty, Failure, Loading, say } from "../../ui/feedback";
import { useKeys } from "../../ui/keys";
import { useAction } from "../../ui/unmeant";
import { isOver, noChangesText } from "../project/runState";
import { ChangedFile } from "./ChangedFile";
import styles from "./changes.module.css";
import { FileList } from "./FileList";
import { type Comment, reviewMessage, useReview, viewOf } from "./review";
import { inTreeOrder } from "./tree";
import { useReported } from "./useReported";

const SHORT_COMMIT = 10;
const MODE_KEY = "taskbeacon.diffMode";

const NONE: Comment[] = [];

function byPath(comments: Comment[]): ReadonlyMap<string, Comment[]> {
  const found = new Map<string, Comment[]>();
  for (const comment of comments) found.set(comment.path, [...(found.get(comment.path) ?? []), comment]);
  return found;
}

const REPORTED =
  "Edits appear here as soon as the agent reports them. What commands change comes at the end of the run.";

interface Props {
  run: Run;
  runRef: RunRef;
  items: readonly Item[];
  /** Resume the run with a message; `onStarted` is called when the new run has begun. */
  onResume: (message: string, onStarted: () => void) => void;
  isBusy: boolean;
}

export default function ChangesPane({ run, runRef, items, onResume, isBusy }: Props) {
  const over = isOver(run);
  const changes = useQuery({
    queryKey: ["task", runRef.task, "diff", run.id],
    queryFn: () => fetchChanges(runRef),
    // A run has its patch when it is over.
    enabled: over,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const [mode, setMode] = useState<DiffMode>(() =>
    localStorage.getItem(MODE_KEY) === "split" ? "split" : "unified",
  );
  const { viewed, comments, toggleViewed, add, remove, clear } = useReview(runRef.task, run.id);
  const onSent = (how: string) => {
    say(how);
    clear();
  };
  const send = useAction({
    mutationFn: (message: string) => sendMessage(runRef, crypto.randomUUID(), message, []),
    onSuccess: () => onSent("Your comments are on their way to the agent."),
  });
  const submit = () => {
    const message = reviewMessage(comments);
    if (over) onResume(message, () => onSent("A new run continues with your comments."));
    else send.mutate(message);
  };
  const reported = useReported(items, !over);
  const shown = over ? changes.data?.files : reported;
  const files = useMemo(() => inTreeOrder(shown ?? []), [shown]);
  const commentsByPath = useMemo(() => byPath(comments), [comments]);
  const [at, setAt] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const go = (index: number) => {
    const next = Math.min(Math.max(index, 0), files.length - 1);
    setAt(next);
    list.current?.querySelector(`[data-file="${next}"]`)?.scrollIntoView({ block: "start" });
  };
  useKeys({
    j: () => go(at + 1),
    k: () => go(at - 1),
    v: () => files[at] && toggleViewed(files[at]),
  });
  useEffect(() => localStorage.setItem(MODE_KEY, mode), [mode]);

  if (over && changes.isPending) return <Loading what="the changes" />;
  if (over && !changes.data) return <Failure error={changes.error} onRetry={() => changes.refetch()} />;
  if (files.length === 0) {
    return (
      <Empty icon={FileDiff} title={over ? "No changes" : "No changes yet"}>
        <p>{over ? noChangesText(run) : REPORTED}</p>
      </Empty>
    );
  }
  const viewOfFile = (file: FileChange) => viewOf(viewed, file);
  const viewedCount = files.filter((file) => viewOfFile(file) === "viewed").length;
  return (
    <div className={styles.changes} data-mode={mode}>
      <header className={styles.head}>
        <span className={styles.summary}>
          {files.length === 1 ? "1 file" : `${files.length} files`} · {viewedCount} viewed
          <Ends base={changes.data?.base ?? null} head={changes.data?.head ?? null} />
        </span>
        <IconButton
          label={mode === "split" ? "Show in one column" : "Show side by side"}
          className={styles.mode ?? ""}
          onClick={() => setMode(mode === "split" ? "unified" : "split")}
        >
          {mode === "split" ? <Rows2 size={16} /> : <Columns2 size={16} />}
        </IconButton>
      </header>
      {!over && (
        <p className={styles.live}>
          <LoaderCircle size={14} aria-hidden="true" />
          The edits that the agent has reported so far. What commands changed comes with the whole patch, at
          the end of the run.
        </p>
      )}
      {files.length > 1 && <FileList files={files} viewOf={viewOfFile} current={at} onChoose={go} />}
      <div ref={list}>
        {files.map((file, index) => (
          <ChangedFile
            key={file.path}
            index={index}
            file={file}
            mode={mode}
            place={`taskbeacon.comment.${run.id}`}
            hasNumbers={over}
            view={viewOfFile(file)}
            onViewed={toggleViewed}
            comments={commentsByPath.get(file.path) ?? NONE}
            onComment={add}
            onRemove={remove}
          />
        ))}
      </div>
      {comments.length > 0 && (
        <footer className={styles.send}>
          <span>{comments.length === 1 ? "1 comment" : `${comments.length} comments`}</span>
          <Button tone="quiet" onClick={clear}>
            Discard
          </Button>
          <Button tone="primary" disabled={send.isPending || isBusy} onClick={submit}>
            <Send size={14} aria-hidden="true" /> Send to the agent
          </Button>
        </footer>
      )}
    </div>
  );
}

/** The branch that the run started from, and the commit that it pushed: the patch is the difference of the two. */
function Ends({ base, head }: { base: string | null; head: string | null }) {
  if (!base && !head) return null;
  return (
    <span title={`${base ?? "the start of the run"} to ${head ?? "the end of the run"}`}>
      {" · "}
      {base && <span className={styles.branch}>{base} </span>}
      {base && head && <ArrowRight size={12} aria-label="to" role="img" />}
      {head && <span className={styles.branch}> {head.slice(0, SHORT_COMMIT)}</span>}
    </span>
  );
}
