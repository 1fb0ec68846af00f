/** The transcript, the question that is open, and the field to write in. */
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, type RefObject, useDeferredValue, useMemo } from "react";
import { Link } from "wouter";
import type { Base } from "../../api/changes";
import { cancelTurn, type RunRef, runPath, setOption } from "../../api/commands";
import { stagedFiles } from "../../api/tasks";
import { type Run, type RunList, type Task, waitingFor } from "../../api/types";
import { visible } from "../../text/marks";
import { ended } from "../../transcript/ended";
import type { Item } from "../../transcript/items";
import { classes } from "../../ui/classes";
import { Button } from "../../ui/controls";
import { Failure, Loading, sayError } from "../../ui/feedback";
import { useAction } from "../../ui/unmeant";
import { useOutcome } from "../changes/useReview";
import { filesPlaceOf } from "../project/drafts";
import { useProject } from "../project/project";
import * as facts from "../project/runState";
import { QuestionCard } from "../questions/QuestionCard";
import { isAsking, RunQuestions, useRunQuestions } from "../questions/runQuestions";
import { Composer, type Written } from "./Composer";
import { filesOf } from "./completion";
import { End, TurnEnd } from "./End";
import { nameOfFile, type Outbox, type Outgoing, useQueue, waitingMessages } from "./outbox";
import styles from "./run.module.css";
import type { Snapshot } from "./runTranscript";
import { OfLost, ReceiptLine, type UserItem, UserMessage } from "./TranscriptRow";
import { TranscriptView } from "./TranscriptView";
import { useDraft } from "./useDraft";
import type { RunActions } from "./useRunActions";

const AGAIN = "Send again in a new run";

export interface ConversationProps extends Snapshot {
  task: Task;
  run: Run;
  runs: RunList;
  runRef: RunRef;
  actions: RunActions;
  outbox: Outbox;
  /** The field to write in. */
  field: RefObject<HTMLTextAreaElement | null>;
  /** Show the changes; where they stand beside the conversation, at the whole width. */
  onReview: (base: Base) => void;
  onReveal: (() => void) | undefined;
  /** That there is a newer run, if the page has stayed at this one. */
  newer: ReactNode;
}

export function Conversation(props: ConversationProps) {
  const { task, run, runs, runRef, transcript, load, actions, outbox, field, onReview, newer } = props;
  const questions = useRunQuestions(runRef);
  const question = run.status === "in_progress" ? questions?.find(isAsking) : undefined;
  const over = facts.isOver(run);
  const option = useMutation({
    mutationFn: (chosen: { id: string; value: string }) => setOption(runRef, chosen.id, chosen.value),
    onError: sayError,
  });
  const stop = useAction({ mutationFn: () => cancelTurn(runRef) });
  const isIdle = waitingFor(run)?.kind === "message";
  const draft = useDraft(run.id);
  // The files that can be named may come a moment after the words that stream.
  const later = useDeferredValue(transcript.items);
  const known = useMemo(() => filesOf(later), [later]);
  const waiting = waitingMessages(outbox.list, useQueue(runRef, run, transcript), transcript);
  const prompt = useMemo(() => promptOf(task, run), [task, run]);
  const items = useMemo(
    () => [...prompt, ...(over ? ended(transcript.items) : transcript.items)],
    [prompt, over, transcript.items],
  );
  const unasked = items.filter((item) => item.kind === "question" && item.state === "unasked").length;
  const isChecked = facts.stateOf(run) === "checking";
  const canWrite = run.status === "in_progress" && !isChecked && !actions.isFinishing;
  const toRun = {
    uploads: `${runPath(runRef)}/artifacts`,
    placeholder:
      isChecked || actions.isFinishing
        ? "No messages while the work is stored and checked"
        : !canWrite
          ? "Message the agent, once it has begun"
          : isIdle
            ? "Your turn: what next?"
            : "Message the agent",
    sendLabel: "Send",
    isBusy: !canWrite,
    // The built-in agent reads its messages one after the other.
    isSteered: run.runtime_adapter !== null,
    onSend: outbox.send,
    onOption: (id: string, value: string) => option.mutate({ id, value }),
    onStop: !canWrite || isIdle || question ? null : () => stop.mutate(),
  };
  const name = facts.runName(runs, facts.tipOf(run, runs.results).id) ?? "this run";
  const branch = facts.outputOf(run).branch || facts.branchBefore(run, runs.results);
  const toNextRun = {
    uploads: stagedFiles(runRef.project, runRef.task),
    placeholder: facts.neverBegan(run)
      ? "Nothing to continue: edit the task, or start over"
      : `Continue from ${name}${branch ? ` on ${visible(branch)}` : ""}: a new run with your message`,
    sendLabel: `Start a run that continues from ${name}`,
    isBusy: actions.isBusy || facts.neverBegan(run),
    onSend: (message: Written) =>
      actions.resume(message.text, message.artifactIds, {
        onFailed: () => draft.putBack(message, toNextRun.uploads),
      }),
    sendText: "Start a run",
  };
  const { sentWith } = useOutcome(run, runRef);
  const lost = ({ id, text, files: artifactIds }: UserItem) => {
    // Comments can be changed and sent again where they stand.
    if (sentWith.some((message) => id === `user:${transcript.commandIds.get(message)}`)) return null;
    const files = artifactIds.map((one) => nameOfFile(run, one));
    const edit = () => draft.putBack({ text, files, artifactIds, isKept: false }, toRun.uploads);
    // Behind a run that came later, it has perhaps been sent.
    const canResume = over && task.latest_run?.id === run.id && files.length === 0;
    return (
      <p className="row ends">
        <Button onClick={edit}>Edit</Button>
        {canResume && <Button onClick={() => actions.resume(text, [], {})}>{AGAIN}</Button>}
      </p>
    );
  };
  const waysOf = (message: Outgoing, isBack: boolean) => {
    const taken = () => void outbox.discard(message);
    const edit = () => outbox.discard(message, () => draft.putBack(message, toRun.uploads));
    // Files that one run has are not those of another.
    const canResume = over && message.files.length === 0 && !message.comments;
    return (
      (isBack || message.queued) && (
        <p className="row ends">
          <Button tone="quiet" onClick={taken}>
            Discard
          </Button>
          {/* Comments that were not read can be changed and sent again where they stand. */}
          {!message.comments && <Button onClick={edit}>Edit</Button>}
          {isBack && !over && <Button onClick={() => outbox.deliver(message)}>Send again</Button>}
          {isBack && canResume && (
            <Button onClick={() => actions.resume(message.text, [], { onStarted: taken })}>{AGAIN}</Button>
          )}
        </p>
      )
    );
  };
  const earlier = facts.earlierOf(run);
  const { href } = useProject();
  return (
    <div className="fill" hidden={props.onReveal !== undefined}>
      <RunQuestions.Provider value={questions}>
        <OfLost.Provider value={lost}>
          <TranscriptView
            items={items}
            hasCard={question !== undefined}
            onReveal={props.onReveal}
            head={
              earlier && (
                <p className={classes("small faint", styles.boundary)}>
                  This run continues from{" "}
                  <Link href={href(`/tasks/${task.id}/runs/${earlier}`)}>
                    {facts.runName(runs, earlier) ?? "an earlier run"}
                  </Link>
                </p>
              )
            }
            foot={
              <>
                {load === "loading" && run.status !== "queued" && <Loading what="the transcript" />}
                {load === "failed" && (
                  <Failure error={new Error("The log cannot be read at the moment. Trying again …")} />
                )}
                {waiting.map(({ message, receipt }) => (
                  <div key={message.id}>
                    <UserMessage item={{ ...message, kind: "user", receipt: null }} />
                    <ReceiptLine receipt={receipt} />
                    {waysOf(message, receipt.status === "failed")}
                  </div>
                ))}
                {isIdle && canWrite && waiting.length === 0 && (
                  <TurnEnd
                    {...{ run, runRef, actions, onReview }}
                    files={(transcript.standing.changes ?? facts.figuresOf(run)).files}
                  />
                )}
                {over && (
                  <End
                    {...{ task, run, runRef, actions, onReview, unasked }}
                    runs={runs.results}
                    onWrite={() => field.current?.focus()}
                  />
                )}
              </>
            }
          />
        </OfLost.Provider>
      </RunQuestions.Provider>
      <div className={classes("column fixed scrolls", styles.below)}>
        {question && <QuestionCard key={question.id} question={question} onReveal={props.onReveal} />}
        {newer}
        {/* One for all: a person who types when the run begins or ends goes on typing. */}
        <Composer
          {...(over ? toNextRun : toRun)}
          area={field}
          filesPlace={filesPlaceOf(run.id)}
          standing={transcript.standing}
          known={known}
          text={draft.text}
          onText={draft.write}
        />
      </div>
    </div>
  );
}

/** What a run was asked, as the first rows of its transcript: by the task unless it continues another run. */
function promptOf(task: Task, run: Run): Item[] {
  const message = run.state.pending_user_message;
  const text = typeof message === "string" ? message : "";
  const files = facts.filesAtStart(run);
  const first = facts.earlierOf(run) ? "" : task.description;
  const texts = [["task", first, text ? [] : files] as const, ["message", text, text ? files : []] as const];
  return texts.flatMap(([id, text, files]) =>
    text || files.length > 0 ? { kind: "user", id, at: "", text, files: [...files], receipt: null } : [],
  );
}
