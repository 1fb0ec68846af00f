/** What the checks say of the work, and why: each check beside the base, with what it printed. */
import { useQuery } from "@tanstack/react-query";
import { ListChecks, RotateCw } from "lucide-react";
import { useState } from "react";
import { useLocation } from "wouter";
import {
  checkAgain,
  fetchAttempts,
  fetchCheckSet,
  fetchPlanned,
  takeCheck,
  waiveVerdict,
} from "../../api/checks";
import { cancelTurn, type RunRef } from "../../api/commands";
import type { Acceptance, FoundCheck, Run, Task, Verification } from "../../api/types";
import { classes } from "../../ui/classes";
import { Button, Select, TextArea } from "../../ui/controls";
import { Empty, Failure, Loading } from "../../ui/feedback";
import { OutcomeBadge, VerdictBadge } from "../../ui/status";
import { Age } from "../../ui/time";
import { useAction } from "../../ui/unmeant";
import { commandText, reasonText, stopText } from "../project/checks";
import { useProject } from "../project/project";
import { doubtIn, isOver, outputOf } from "../project/runState";
import { LONGEST_REASON, QuestionCard } from "../questions/QuestionCard";
import { isAsking, useRunQuestions } from "../questions/runQuestions";
import { TaskDialog } from "../tasks/TaskDialog";
import { CheckRow, Ci, Claims, Names, Step } from "./CheckRow";
import styles from "./checks.module.css";
import { Waivers } from "./End";

// Events say when checks begin and end; which of them runs is asked for.
const PROGRESS_MS = 3000;

export default function ChecksPane({ task, run, runRef }: { task: Task; run: Run; runRef: RunRef }) {
  const questions = useRunQuestions(runRef);
  const question = questions?.find((one) => one.kind === "verdict" && isAsking(one));
  const attempts = useQuery({
    queryKey: ["task", runRef.task, "checks", run.id],
    queryFn: () => fetchAttempts(runRef),
    refetchInterval: ({ state }) => (state.data?.[0]?.verdict === null ? PROGRESS_MS : false),
  });
  const [chosen, choose] = useState<number | null>(null);
  const { href } = useProject();
  const [, navigate] = useLocation();
  const follow = (next: string) => navigate(href(`/tasks/${runRef.task}/runs/${next}`));
  if (attempts.isPending) return <Loading what="the checks" />;
  if (!attempts.data) return <Failure error={attempts.error} onRetry={() => attempts.refetch()} />;
  // Nothing was executed where a verdict came with the end of the run.
  const newest = attempts.data[0] ?? run.verification;
  const shown = attempts.data.find(({ attempt }) => attempt === chosen) ?? newest;
  if (!newest || !shown) return <Planned {...{ task, run }} project={runRef.project} />;
  return (
    <div className={classes("column", styles.pane)}>
      <header className="row wrap spaced dim">
        <VerdictBadge of={shown} />
        {shown.finished_at && <Age at={shown.finished_at} inSentence />}
        {attempts.data.length > 1 && (
          <Select
            aria-label="Attempt"
            value={shown.attempt}
            choices={attempts.data.map(({ attempt }) => [
              attempt,
              `Attempt ${attempt}${attempt === newest.attempt ? " (latest)" : ""}`,
            ])}
            onChoose={(attempt) => choose(Number(attempt))}
          />
        )}
        {isOver(run) && outputOf(run).branch && (
          <Again {...{ runRef, newest }} onAgain={() => choose(null)} />
        )}
      </header>
      {/* Why stands below, in full. */}
      {question && <QuestionCard question={{ ...question, detail: "" }} onRun={follow} />}
      {questions && !question && shown === newest && isOver(run) && doubtIn(shown) && (
        <Waive runRef={runRef} />
      )}
      <Why
        {...{ task, run, shown }}
        isRepaired={shown === newest && shown.verdict === "refuted" && !isOver(run)}
      />
      <ul>
        {shown.checks.map((check) => (
          // What is opened in one attempt is not meant in another.
          <CheckRow
            key={`${shown.attempt} ${check.id}`}
            check={check}
            files={run.artifacts}
            runRef={runRef}
          />
        ))}
      </ul>
      <Claims claims={shown.claims} />
      {task.repository && shown.found.length > 0 && (
        <Found found={shown.found} project={runRef.project} repository={task.repository} />
      )}
      {shown.setup.length > 0 && (
        <section>
          <h2>Set-up</h2>
          <ul>
            {shown.setup.map((step) => (
              <Step key={`${shown.attempt} ${step.index}`} step={step} />
            ))}
          </ul>
        </section>
      )}
    </div>
  );
}

type Defined = Pick<Acceptance, "checks">;

/** The checks that are defined for a run: what the task says counts more than what `sets` say. */
function checksOf(task: Task, run: Run, sets: readonly Defined[] = []): Defined["checks"] {
  const own = [task.acceptance, run.state.acceptance as Acceptance | undefined];
  const all = [...sets, ...own].flatMap((one) => one?.checks ?? []);
  return [...new Map(all.toReversed().map((check) => [check.id, check])).values()].reverse();
}

/** What will check the work of a run that is not over. */
function Planned({ task, run, project }: { task: Task; run: Run; project: number }) {
  const { repository } = task;
  const sets = useQuery({
    queryKey: ["check_sets", project, repository, "planned"],
    queryFn: () => fetchPlanned(project, repository ?? ""),
    enabled: repository !== null && !isOver(run),
  });
  const checks = checksOf(task, run, sets.data);
  const text = isOver(run)
    ? "Work is checked if a worker's agent has finished it."
    : repository === null
      ? "The task has no repository: its work is not checked."
      : checks.length === 0
        ? "No check of its work is defined here. The repository may name some."
        : "When the agent has finished, its work is checked by what was defined when the run began. Defined now:";
  return (
    <Empty icon={ListChecks} title={isOver(run) ? "Not checked" : "Not checked yet"}>
      <p>{text}</p>
      {!isOver(run) && repository !== null && (
        <ul className="column">
          {checks.map((check) => (
            <li key={check.id}>
              <strong>{check.id}</strong> <code>{commandText(check)}</code>
            </li>
          ))}
        </ul>
      )}
    </Empty>
  );
}

interface WhyProps {
  task: Task;
  run: Run;
  shown: Verification;
  isRepaired: boolean;
}

export function Why({ task, run, shown, isRepaired }: WhyProps) {
  const [isEditing, setEditing] = useState(false);
  const rewritten = shown.checks.flatMap(({ id, old_tests: old }) => (old === "failed" ? id : []));
  return (
    <div className="column">
      {shown.verdict === "verified" && <p>All required checks passed.</p>}
      {rewritten.length > 0 && <p className="attention">The old tests fail: {rewritten.join(", ")}.</p>}
      <ul>
        {shown.reasons.some(({ code }) => code === "nothing_changed") &&
          checksOf(task, run).map(({ id }) => (
            <li key={id}>
              <strong>{id}:</strong> not run, since the run changed nothing.
            </li>
          ))}
        {shown.reasons.map((reason) => {
          const { text, detail } = reasonText(reason);
          return (
            <li key={`${reason.check} ${reason.code}`}>
              {reason.check && <strong>{reason.check}: </strong>}
              {text}
              {detail && <p className="dim">{detail}</p>}
            </li>
          );
        })}
      </ul>
      {shown.reasons.some(({ code }) => code === "no_checks") && (
        <p className="row">
          <Button onClick={() => setEditing(true)}>Define checks of the task</Button>
        </p>
      )}
      {isEditing && <TaskDialog task={task} onClose={() => setEditing(false)} />}
      {isRepaired && <p>The agent corrects its work.</p>}
      {shown.stopped && <p>{stopText(shown.stopped)}</p>}
      <Waivers of={shown.waivers} />
      {shown.ci && <Ci ci={shown.ci} />}
      <Names title="Existing tests that were changed or deleted" names={shown.changed_tests} />
      <Names title="Protected files that were changed" names={shown.protected_changed} />
    </div>
  );
}

/** No question asks about a verdict of checks that ran again after its answer. */
function Waive({ runRef }: { runRef: RunRef }) {
  const [reason, setReason] = useState("");
  const waive = useAction({
    mutationFn: () => waiveVerdict(runRef, reason),
    refreshes: [["task", runRef.task]],
  });
  return (
    <div className="column">
      <TextArea
        label="Why the work is accepted (Waive needs it)"
        value={reason}
        maxLength={LONGEST_REASON}
        onChange={(event) => setReason(event.target.value)}
      />
      <p className="row">
        <Button large disabled={waive.isPending || !reason.trim()} onClick={() => waive.mutate()}>
          Waive
        </Button>
      </p>
    </div>
  );
}

interface FoundProps {
  found: Verification["found"];
  project: number;
  repository: string;
}

/** What the repository suggests: nothing of it runs until a person takes it. */
function Found({ found, project, repository }: FoundProps) {
  const queryKey = ["check_sets", project, repository];
  const set = useQuery({ queryKey, queryFn: () => fetchCheckSet(project, repository) });
  const take = useAction({
    mutationFn: (check: FoundCheck) => takeCheck(project, repository, check),
    refreshes: [queryKey],
  });
  const taken = new Set(set.data?.checks.map(({ id }) => id));
  return (
    <section className="column">
      <h2>Found in the repository, not executed</h2>
      <ul className="column">
        {found.map(({ check, origin }) => (
          <li key={check.id}>
            <strong>{check.id}</strong> <code>{commandText(check)}</code> of {origin.path}{" "}
            {taken.has(check.id) ? (
              <OutcomeBadge tone="success">Taken over</OutcomeBadge>
            ) : (
              <Button
                aria-label={`Take over ${check.id}`}
                disabled={set.isPending || take.isPending}
                onClick={() => take.mutate(check)}
              >
                Take over
              </Button>
            )}
          </li>
        ))}
      </ul>
      <div className="attention" role="status">
        {take.data?.map((warning) => (
          <p key={warning}>{warning}</p>
        ))}
      </div>
    </section>
  );
}

function Again({ runRef, newest, onAgain }: { runRef: RunRef; newest: Verification; onAgain: () => void }) {
  const isOpen = newest.verdict === null;
  const isFirst = newest.attempt === 0;
  const again = useAction<unknown>({
    mutationFn: () => (isOpen ? cancelTurn(runRef) : checkAgain(runRef)),
    onSuccess: onAgain,
    refreshes: [["task", runRef.task]],
  });
  return (
    <Button className="last" onClick={() => again.mutate()} disabled={again.isPending}>
      {!isOpen && !isFirst && <RotateCw size={14} />}{" "}
      {isOpen ? "Stop checks" : isFirst ? "Check" : "Check again"}
    </Button>
  );
}
