/** What a run changed: files, their diffs, marks of what was viewed, and comments that go to the agent as one message. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { Columns2, FileDiff, Rows2, Send } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { fetchChanges } from "../../api/changes";
import { type RunRef, sendMessage } from "../../api/commands";
import type { Run } from "../../api/types";
import { Button, IconButton } from "../../ui/controls";
import type { DiffMode } from "../../ui/diff";
import { Empty, Failure, Loading, say, sayError } from "../../ui/feedback";
import { useKeys } from "../common/keys";
import { isOver } from "../common/runState";
import { ChangedFile } from "./ChangedFile";
import styles from "./changes.module.css";
import { FileList } from "./FileList";
import { fingerprint, reviewMessage, useReview } from "./review";
import { inTreeOrder } from "./tree";
import { useResume } from "./useResume";

const SHORT_COMMIT = 10;
const MODE_KEY = "taskbeacon.diffMode";

export default function ChangesPane({ run, runRef }: { run: Run; runRef: RunRef }) {
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
  const { review, toggleViewed, add, remove, clear } = useReview(run.id);
  const resume = useResume(runRef, run);
  const send = useMutation({
    mutationFn: async () => {
      const message = reviewMessage(review.comments);
      if (over) await resume(message);
      else await sendMessage(runRef, crypto.randomUUID(), message, []);
    },
    onSuccess: () => {
      say(over ? "A new run goes on with your comments." : "Your comments are on their way to the agent.");
      clear();
    },
    onError: sayError,
  });
  const files = useMemo(() => inTreeOrder(changes.data?.files ?? []), [changes.data]);
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
        <p>
          {over
            ? "The run changed no file."
            : "When the run is over, what it changed appears here, to read and to comment on."}
        </p>
      </Empty>
    );
  }
  const head = changes.data?.head;
  const isViewed = (path: string, mark: string) => review.viewed[path] === mark;
  const viewed = files.filter((file) => isViewed(file.path, fingerprint(file))).length;
  return (
    <div className={styles.changes} data-mode={mode}>
      <header className={styles.head}>
        <span className={styles.summary}>
          {files.length === 1 ? "1 file" : `${files.length} files`} · {viewed} viewed
          {head && <span title={head}> · {head.slice(0, SHORT_COMMIT)}</span>}
        </span>
        <IconButton
          label={mode === "split" ? "Show in one column" : "Show side by side"}
          onClick={() => setMode(mode === "split" ? "unified" : "split")}
        >
          {mode === "split" ? <Rows2 size={16} /> : <Columns2 size={16} />}
        </IconButton>
      </header>
      {files.length > 1 && <FileList files={files} isViewed={isViewed} current={at} onChoose={go} />}
      <div ref={list}>
        {files.map((file, index) => (
          <ChangedFile
            key={file.path}
            index={index}
            file={file}
            mode={mode}
            isViewed={isViewed(file.path, fingerprint(file))}
            onViewed={toggleViewed}
            comments={review.comments}
            onComment={add}
            onRemove={remove}
          />
        ))}
      </div>
      {review.comments.length > 0 && (
        <footer className={styles.send}>
          <span>{review.comments.length === 1 ? "1 comment" : `${review.comments.length} comments`}</span>
          <Button tone="quiet" onClick={clear}>
            Discard
          </Button>
          <Button tone="primary" disabled={send.isPending} onClick={() => send.mutate()}>
            <Send size={14} aria-hidden="true" /> Send to the agent
          </Button>
        </footer>
      )}
    </div>
  );
}
