import { type QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { Play, SearchX } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { Link, useLocation, useSearchParams } from "wouter";
import { ApiError } from "../../api/errors";
import { fetchRun, fetchRuns, fetchTask, type RunList, stagedFiles } from "../../api/tasks";
import type { Run, Task } from "../../api/types";
import type { Transcript } from "../../transcript/append";
import { Button } from "../../ui/controls";
import { Empty, FailedPage, Loading } from "../../ui/feedback";
import { useKeys } from "../../ui/keys";
import { useMedia } from "../../ui/media";
import { takesText } from "../../ui/unmeant";
import { AttachButton, AttachmentList, useAttachments } from "../attachments/attachments";
import { usePresence } from "../attention/presence";
import { useSeen } from "../project/news";
import { useProject } from "../project/project";
import { areWhole, draftFiles, RunChoices, requestOf, useDraftChoices } from "../project/RunChoices";
import { Conversation } from "./Conversation";
import { PANES, type PaneName, Panes } from "./Panes";
import { RunHeader } from "./RunHeader";
import styles from "./run.module.css";
import { TaskText } from "./TaskText";
import { hasDraft, isStartedHere } from "./useDraft";
import { useRunActions } from "./useRunActions";
import { preloadTranscript, useRunTranscript } from "./useRunTranscript";

interface Props {
  taskId: string;
  /** Null: the latest run. */
  runId: string | null;
}

const taskQuery = (project: number, task: string) => ({
  queryKey: ["task", task],
  queryFn: () => fetchTask(project, task),
});

/** Ask for what the page will show, while the session is still being asked for. */
export async function preload(queries: QueryClient, project: number, { taskId, runId }: Props) {
  const task = await queries.fetchQuery(taskQuery(project, taskId));
  const run = task.latest_run as Run | null;
  if (run && (runId === null || runId === run.id))
    preloadTranscript({ project, task: taskId, run: run.id }, run);
}

export default function RunPage({ taskId, runId }: Props) {
  const { project } = useProject();
  const task = useQuery(taskQuery(project.id, taskId));
  const runs = useQuery({ queryKey: ["task", taskId, "runs"], queryFn: () => fetchRuns(project.id, taskId) });
  const latest = (task.data?.latest_run ?? null) as Run | null;
  const shownId = useShownRun(taskId, runId, latest);
  const isLatest = shownId === null || shownId === latest?.id;
  const recent = runs.data?.results.find(({ id }) => id === shownId);
  const older = useQuery({
    queryKey: ["task", taskId, "run", shownId],
    queryFn: () => fetchRun(project.id, taskId, shownId as string),
    // Only the newest runs are on the list.
    enabled: !isLatest && runs.isSuccess && !recent,
  });
  const run = isLatest ? latest : (recent ?? older.data ?? null);
  usePresence(taskId);
  useSeen(task.data);

  if (task.isPending || (!isLatest && (runs.isPending || older.isLoading)))
    return <Loading what="the task" />;
  if (!task.data) return <NoTask what="task" error={task.error} onRetry={() => task.refetch()} />;
  if (!isLatest && !run)
    return (
      <NoTask
        what="run"
        error={runs.error ?? older.error}
        onRetry={() => (runs.error ? runs : older).refetch()}
      />
    );
  if (!run) return <Draft task={task.data} />;
  return (
    <RunView
      key={run.id}
      task={task.data}
      run={run}
      runs={runs.data ?? { count: 1, results: [run] }}
      isLatest={isLatest}
    />
  );
}

/**
 * Return the run to show, null for the latest: the one of the address; but a run to which the person writes stays when
 * another device starts a new one, and gets the address.
 */
function useShownRun(taskId: string, runId: string | null, latest: Run | null): string | null {
  const { href } = useProject();
  const [, navigate] = useLocation();
  const last = useRef<string | null>(null);
  const before = last.current;
  const isNew = runId === null && before !== null && before !== latest?.id;
  const stays = isNew && !(latest && isStartedHere(latest.id)) && isWritingTo(before) ? before : null;
  if (!stays) last.current = runId === null ? (latest?.id ?? null) : null;
  useEffect(() => {
    if (stays) navigate(href(`/tasks/${taskId}/runs/${stays}`), { replace: true });
  }, [stays, navigate, href, taskId]);
  return stays ?? runId;
}

const isWritingTo = (run: string): boolean =>
  hasDraft(run) || (takesText(document.activeElement) && document.activeElement?.closest("main") != null);

interface NoTaskProps {
  what: "task" | "run";
  /** Null: there is none. */
  error: unknown;
  onRetry: () => void;
}

function NoTask({ what, error, onRetry }: NoTaskProps) {
  const { href } = useProject();
  if (error && !(error instanceof ApiError && error.status === 404))
    return <FailedPage title={`The ${what} cannot be shown`} error={error} onRetry={onRetry} />;
  return (
    <main>
      <Empty icon={SearchX} title={`There is no such ${what}`} isPage>
        <p>It was deleted, its address is wrong, or you are no member of its project.</p>
        <Link href={href("/")}>All tasks</Link>
      </Empty>
    </main>
  );
}

/** The run's own stream says sooner than the ledger that the run has another status, or waits. */
function useFreshTask(task: string, { standing }: Transcript): void {
  const queries = useQueryClient();
  const state = `${standing.status} ${standing.waiting}`;
  const known = useRef(state);
  useEffect(() => {
    if (known.current === state) return;
    known.current = state;
    void queries.invalidateQueries({ queryKey: ["task", task] });
    void queries.invalidateQueries({ queryKey: ["inbox"] });
  }, [queries, state, task]);
}

function Draft({ task }: { task: Task }) {
  const { project } = useProject();
  const [choices, choose] = useDraftChoices(task.id);
  const files = useAttachments(localStorage, draftFiles(task.id), stagedFiles(project.id, task.id));
  const ids = files.list.flatMap(({ id }) => id ?? []);
  const first = { ...requestOf(choices), ...(ids.length ? { pending_user_artifact_ids: ids } : {}) };
  const actions = useRunActions(task, null, first, files.clear);
  return (
    <main className={styles.page}>
      <RunHeader task={task} run={null} runs={{ count: 0, results: [] }} usage={null} actions={actions} />
      <div className={styles.draft}>
        <TaskText text={task.description} files={[]} />
        <Empty icon={Play} title="No run yet">
          <p>A run is one attempt of an agent at this task.</p>
          <RunChoices choices={choices} onChange={choose} />
          <AttachmentList {...files} />
          {files.list.length > 0 && <p>The files are kept for a day, and shown in this browser only.</p>}
          <p className={styles.start}>
            <AttachButton onAdd={files.add} />
            <Button
              tone="primary"
              onClick={actions.retry}
              disabled={actions.isBusy || !areWhole(choices) || !files.isReady}
            >
              Start a run
            </Button>
          </p>
        </Empty>
      </div>
    </main>
  );
}

interface ViewProps {
  task: Task;
  run: Run;
  runs: RunList;
  isLatest: boolean;
}

function RunView({ task, run, runs, isLatest }: ViewProps) {
  const { project, href } = useProject();
  const [wasLatest] = useState(isLatest);
  const [search, setSearch] = useSearchParams();
  const ref = useMemo(
    () => ({ project: project.id, task: task.id, run: run.id }),
    [project.id, task.id, run.id],
  );
  const { transcript, load } = useRunTranscript(ref, run);
  const actions = useRunActions(task, run);
  useFreshTask(task.id, transcript);
  const named = search.get("pane") as PaneName | null;
  const pane = named && PANES.some(({ name }) => name === named) ? named : null;
  const isWide = useMedia("(min-width: 1160px)");
  const choose = (name: PaneName | null) => setSearch(name ? { pane: name } : {}, { replace: true });
  useKeys(
    Object.fromEntries(
      PANES.map(({ name, label }, index) => [
        `p ${index + 1}`,
        [`Show ${label.toLowerCase()}`, () => choose(name)] as const,
      ]),
    ),
  );
  const shown = pane ?? (isWide ? "changes" : null);
  return (
    <main className={styles.page}>
      <RunHeader task={task} run={run} runs={runs} usage={transcript.standing.usage} actions={actions} />
      <div className={styles.body} data-pane={pane ?? "none"}>
        <Panes.Tabs shown={pane} onChoose={choose} isPhone />
        <Conversation
          task={task}
          run={run}
          runRef={ref}
          transcript={transcript}
          load={load}
          actions={actions}
          newer={
            wasLatest &&
            !isLatest && (
              <p className={styles.newer} role="status">
                A new run has started. <Link href={href(`/tasks/${task.id}`)}>Show it</Link>
              </p>
            )
          }
        />
        {shown && (
          <Panes.Side
            shown={shown}
            onChoose={choose}
            task={task}
            run={run}
            runRef={ref}
            transcript={transcript}
            actions={actions}
          />
        )}
      </div>
    </main>
  );
}
