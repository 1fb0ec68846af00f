import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import { Link, useSearchParams } from "wouter";
import { classes } from "../../ui/classes";
import { useKept } from "../../ui/kept";
import { useKeys } from "../../ui/keys";
import { useMedia } from "../../ui/media";
import { OfRepository } from "../project/EditorLink";
import { useProject } from "../project/project";
import { renew } from "../project/renewed";
import { earlierOf, figuresOf, isOver, patchOf, runName, stateOf } from "../project/runState";
import { isAsking, useRunQuestions } from "../questions/runQuestions";
import { Conversation, type ConversationProps } from "./Conversation";
import { useFinish } from "./Finish";
import { OfRun } from "./GivenFile";
import { unreadOf, useOutbox } from "./outbox";
import { PANES, type PaneName, Side, Tabs } from "./Panes";
import { RunHeader } from "./RunHeader";
import styles from "./run.module.css";
import { useRunActions } from "./useRunActions";
import { useRunTranscript } from "./useRunTranscript";

const BESIDE = { isFull: false };

interface Props extends Pick<ConversationProps, "task" | "run" | "runs"> {
  isLatest: boolean;
}

/** A run: its conversation, and a pane beside it. */
export function RunView({ task, run, runs, isLatest }: Props) {
  const { project, href } = useProject();
  const [wasLatest] = useState(isLatest);
  const [search, setSearch] = useSearchParams();
  const ref = useMemo(
    () => ({ project: project.id, task: task.id, run: run.id }),
    [project.id, task.id, run.id],
  );
  const { transcript, load } = useRunTranscript(ref, run);
  const given = useMemo(() => ({ run, runRef: ref }), [run, ref]);
  const outbox = useOutbox(ref);
  const field = useRef<HTMLTextAreaElement>(null);
  const unread = isOver(run) ? 0 : unreadOf(transcript).length;
  const actions = useFinish(useRunActions(task, run, runs.results), ref, outbox, field, unread);
  const queries = useQueryClient();
  const state = `${transcript.standing.status} ${transcript.standing.waiting}`;
  const known = useRef(state);
  // The run's own stream says sooner than the ledger that the run has another status, or waits.
  useEffect(() => {
    if (known.current === state) return;
    known.current = state;
    void renew(queries, { queryKey: ["task", task.id] });
    void renew(queries, { queryKey: ["inbox"] });
  }, [queries, state, task.id]);
  // It is there before it is announced: else its keys would do nothing.
  const questions = useRunQuestions(ref);
  const pane = PANES.find((name) => name === search.get("pane")) ?? null;
  const isPhone = useMedia("(max-width: 760px)");
  const isWide = useMedia("(min-width: 1160px)");
  const [{ isFull }, keepFull] = useKept(sessionStorage, `taskbeacon.full.${task.id}`, BESIDE);
  const setFull = (isFull: boolean) => keepFull({ isFull });
  const choose = (name: PaneName | null) => {
    // Back at the changes, they are those that were compared before.
    const base = search.get("base");
    setSearch({ ...(name && { pane: name }), ...(base && { base }) }, { replace: true });
    if (!name) setFull(false);
  };
  useKeys(
    Object.fromEntries(
      PANES.map((name, index) => [`p ${index + 1}`, [`Show ${name}`, () => choose(name)] as const]),
    ),
  );
  // Those of the stored patch count in the end.
  const figures = (isOver(run) ? null : transcript.standing.changes) ?? figuresOf(run);
  const files = figures.files > 0 ? `${figures.files}${earlierOf(run) && !isPhone ? " this run" : ""}` : "";
  const shown = pane ?? (isWide && (files || patchOf(run)) ? "changes" : null);
  const isRefuted = stateOf(run) === "refuted";
  const place = `${runName(runs, run.id) ?? "An earlier run"} of ${runs.count}`;
  const newer = !isLatest && (
    <p className={classes("small", styles.boundary)} role="status">
      {wasLatest ? "A new run has started." : `${place}. Run ${runs.count} came after it.`}{" "}
      <Link href={href(`/tasks/${task.id}`)}>Show it</Link>
    </p>
  );
  const layout = shown === null ? "conversation" : isWide && !isFull ? "both" : "pane";
  return (
    <OfRepository value={task.repository}>
      <OfRun.Provider value={given}>
        <main className="fill">
          <RunHeader {...{ task, run, runs, figures, actions }} usage={transcript.standing.usage} />
          {!wasLatest && newer}
          <div className={classes("fill", styles.body)} data-layout={layout}>
            {layout !== "both" && <Tabs {...{ shown, files, isRefuted }} onChoose={choose} isWhole />}
            <Conversation
              {...{ task, run, runs, transcript, load, actions, outbox, field }}
              runRef={ref}
              onReveal={layout === "pane" ? () => choose(null) : undefined}
              onReview={(base) => {
                setSearch({ pane: "changes", base }, { replace: true });
                // Beside the conversation they are there already.
                if (shown === "changes") setFull(true);
              }}
              newer={wasLatest && newer}
            />
            {shown && (
              <Side
                {...{ shown, files, task, run, runs, transcript, actions, outbox }}
                isLogRead={load === "ready"}
                onChoose={choose}
                full={isWide ? [isFull, setFull] : null}
                runRef={ref}
                isAsked={layout === "pane" && run.status === "in_progress" && questions?.some(isAsking)}
              />
            )}
          </div>
        </main>
      </OfRun.Provider>
    </OfRepository>
  );
}
