/** What the checks say of the work, and why: each check beside the base, with what it printed. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { ListChecks, RotateCw } from "lucide-react";
import { useState } from "react";
import { checkAgain, fetchAttempts, waive } from "../../api/checks";
import type { RunRef } from "../../api/commands";
import type { Run, Verification } from "../../api/types";
import { Button, Select, TextArea } from "../../ui/controls";
import { Dialog } from "../../ui/dialog";
import { Empty, Failure, Loading } from "../../ui/feedback";
import { VerdictBadge } from "../../ui/status";
import { Age } from "../../ui/time";
import { useAction } from "../../ui/unmeant";
import { nameOf } from "../project/project";
import { isOver, outputOf } from "../project/runState";
import { CheckRow, Names, Step } from "./CheckRow";
import { reasonText, stopText } from "./checks";
import styles from "./checks.module.css";

// Events say when checks begin and end; which of them runs is asked for.
const PROGRESS_MS = 3000;
const LONGEST_REASON = 500;

interface Props {
  run: Run;
  runRef: RunRef;
}

export default function ChecksPane({ run, runRef }: Props) {
  const attempts = useQuery({
    queryKey: ["task", runRef.task, "checks", run.id],
    queryFn: () => fetchAttempts(runRef),
    refetchInterval: ({ state }) => (state.data?.[0]?.verdict === null ? PROGRESS_MS : false),
  });
  const [chosen, choose] = useState<number | null>(null);
  if (attempts.isPending) return <Loading what="the checks" />;
  if (!attempts.data) return <Failure error={attempts.error} onRetry={() => attempts.refetch()} />;
  // Nothing was executed where a verdict came with the end of the run.
  const newest = attempts.data[0] ?? (run.verification as Verification | null);
  const shown = attempts.data.find(({ attempt }) => attempt === chosen) ?? newest;
  if (!newest || !shown) {
    return (
      <Empty icon={ListChecks} title="Not checked">
        <p>
          {isOver(run)
            ? "Work is checked if a worker's agent has finished it."
            : "When the agent has finished, the checks of its work appear here."}
        </p>
      </Empty>
    );
  }
  return (
    <div className={styles.pane}>
      <header className={styles.head}>
        <VerdictBadge of={shown} />
        {shown.finished_at && <Age at={shown.finished_at} inSentence />}
        {attempts.data.length > 1 && (
          <Select
            aria-label="Attempt"
            className={styles.attempts}
            value={shown.attempt}
            choices={attempts.data.map(({ attempt }) => [
              attempt,
              `Attempt ${attempt}${attempt === newest.attempt ? " (latest)" : ""}`,
            ])}
            onChoose={(attempt) => choose(Number(attempt))}
          />
        )}
        <Actions run={run} runRef={runRef} newest={newest} onAgain={() => choose(null)} />
      </header>
      <Why shown={shown} isRepaired={shown === newest && shown.verdict === "refuted" && !isOver(run)} />
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

function Why({ shown, isRepaired }: { shown: Verification; isRepaired: boolean }) {
  return (
    <div className={styles.why}>
      {shown.verdict === "verified" && <p>All checks that decide pass.</p>}
      <ul>
        {shown.reasons.map((reason) => {
          const { text, detail } = reasonText(reason);
          return (
            <li key={`${reason.check} ${reason.code}`}>
              {reason.check && <strong>{reason.check}: </strong>}
              {text}
              {detail && <span className={styles.detail}>{detail}</span>}
            </li>
          );
        })}
      </ul>
      {isRepaired && <p>The agent corrects its work.</p>}
      {shown.stopped && <p>{stopText(shown.stopped)}</p>}
      {shown.waivers.map(({ user, at, reason }) => (
        <p key={at}>
          Waived by {user ? nameOf(user) : "a former member"} <Age at={at} inSentence />: {reason}
        </p>
      ))}
      <Names title="Existing tests that were changed" names={shown.changed_tests} />
      <Names title="Protected files that were changed" names={shown.protected_changed} />
    </div>
  );
}

function Actions({ run, runRef, newest, onAgain }: Props & { newest: Verification; onAgain: () => void }) {
  const queries = useQueryClient();
  const [isWaiving, setWaiving] = useState(false);
  const refresh = () => queries.invalidateQueries({ queryKey: ["task", runRef.task] });
  const again = useAction({
    mutationFn: () => checkAgain(runRef),
    onSuccess: () => {
      onAgain();
      return refresh();
    },
  });
  const accept = useAction({
    mutationFn: (reason: string) => waive(runRef, reason),
    onSuccess: () => {
      setWaiving(false);
      return refresh();
    },
  });
  if (!isOver(run)) return null;
  const isOpen = newest.verdict === null;
  const canWaive = !newest.waived && (newest.verdict === "refuted" || newest.verdict === "inconclusive");
  return (
    <div className={styles.actions}>
      {canWaive && <Button onClick={() => setWaiving(true)}>Waive</Button>}
      {outputOf(run).head_branch && (
        <Button onClick={() => again.mutate()} disabled={isOpen || again.isPending}>
          <RotateCw size={14} aria-hidden="true" /> Check again
        </Button>
      )}
      {isWaiving && (
        <Dialog title="Waive the checks?" onClose={() => setWaiving(false)}>
          <form
            className={styles.form}
            onSubmit={(event) => {
              event.preventDefault();
              accept.mutate(String(new FormData(event.currentTarget).get("reason")));
            }}
          >
            <TextArea
              data-autofocus
              name="reason"
              label="Why is the work accepted all the same?"
              hint="The verdict stays. Everybody sees your name and the reason."
              maxLength={LONGEST_REASON}
              required
            />
            <Button type="submit" tone="primary" disabled={accept.isPending}>
              Waive
            </Button>
          </form>
        </Dialog>
      )}
    </div>
  );
}
