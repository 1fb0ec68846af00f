/** A check or a step of the set-up: how it ended, and below it what it showed. */
import { Download } from "lucide-react";
import { type ReactNode, useState } from "react";
import { downloadPath, type RunRef } from "../../api/commands";
import type { CheckResult, Run, Verification } from "../../api/types";
import { safeLink } from "../../text/links";
import { classes } from "../../ui/classes";
import { Chevron } from "../../ui/controls";
import { OutcomeBadge, type Tone, VerdictBadge } from "../../ui/status";
import { Terminal } from "../../ui/terminal";
import { durationText } from "../../ui/time";
import { caseText, countsText, SIDES, statusOf } from "../project/checks";
import styles from "./checks.module.css";

interface RowProps {
  tone: Tone;
  name: string;
  word: string;
  duration: number | null;
  output: string;
  children?: ReactNode;
}

function Row({ tone, name, word, duration, output, children }: RowProps) {
  // What did not pass is what the reader looks for, also where it was still running at first.
  const [chosen, choose] = useState<boolean | null>(null);
  const isOpen = chosen ?? (tone === "danger" || tone === "attention");
  return (
    <li className={styles.row}>
      <button type="button" className="row wrap dim" aria-expanded={isOpen} onClick={() => choose(!isOpen)}>
        <strong>{name}</strong> <OutcomeBadge tone={tone}>{word}</OutcomeBadge>{" "}
        {duration !== null && durationText(duration)}
        <Chevron isOpen={isOpen} />
      </button>
      {isOpen && (
        <div className={classes("column", styles.below)}>
          {children}
          {output ? <Terminal text={output} label={`Output of ${name}`} /> : <p>No output.</p>}
        </div>
      )}
    </li>
  );
}

interface CheckProps {
  check: CheckResult;
  files: Run["artifacts"];
  runRef: RunRef;
}

export function CheckRow({ check, files, runRef }: CheckProps) {
  const { word, tone } = statusOf(check);
  const result = statusOf({ ...check, old_tests: "not_run" }).word;
  const { counts } = check;
  const sides = [
    ["Command", check.command],
    ["Result", result + (check.exit_code === null ? "" : `, exit code ${check.exit_code}`)],
    ["Base", SIDES[check.base] + (check.base_cached ? ", as kept from an earlier attempt" : "")],
    ["With the tests of the base", check.old_tests !== "not_run" && SIDES[check.old_tests]],
    ["Cases", counts && countsText(counts)],
    ["Gate", `${check.gate}, defined by the ${check.source}`],
  ] as const;
  const executions = check.runs.map(({ log_artifact_id: log }, at) => {
    return [log, `of the work${check.runs.length > 1 ? `, execution ${at + 1}` : ""}`] as const;
  });
  const logs = [...executions, [check.old_tests_log_artifact_id, "with the tests of the base"] as const];
  return (
    <Row tone={tone} name={check.id} word={word} duration={check.duration_ms} output={check.tail ?? ""}>
      <dl className={styles.sides}>
        {sides.flatMap(([title, text]) =>
          text ? (
            <div key={title}>
              <dt className="small dim">{title}</dt>
              <dd>{text}</dd>
            </div>
          ) : (
            []
          ),
        )}
      </dl>
      <Names title="New failures" names={check.new_failures.map(caseText)} all={counts?.new} />
      <Names title="Removed cases" names={check.removed_cases.map(caseText)} all={counts?.removed} />
      <Names title="Blocked hosts" names={check.blocked_hosts} />
      {logs.map(([log, what]) => {
        const file = log && files.find(({ id }) => id === log);
        return (
          file && (
            <a key={log} href={downloadPath(runRef, file.storage_path)} download={file.name}>
              <Download size={14} /> {file.name}, {what}
            </a>
          )
        );
      })}
    </Row>
  );
}

/** `all` is how many there are; the first of them are named. */
export function Names({ title, names, all }: { title: string; names: string[]; all?: number | undefined }) {
  if (names.length === 0) return null;
  const rest = (all ?? 0) - names.length;
  return (
    <div>
      <h2>{title}</h2>
      <ul className="small">
        {[...new Set(names)].map((name) => (
          <li key={name}>
            <code>{name}</code>
          </li>
        ))}
        {rest > 0 && <li>and {rest} more</li>}
      </ul>
    </div>
  );
}

const STEPS = { ok: "Done", failed: "Failed", cached: "From the cache" } as const;

export function Step({ step }: { step: Verification["setup"][number] }) {
  const tone = step.status === "failed" ? "danger" : "success";
  const { command, status, duration_ms: duration, tail } = step;
  return <Row tone={tone} name={command} word={STEPS[status]} duration={duration} output={tail ?? ""} />;
}

export function Claims({ claims }: { claims: Verification["claims"] }) {
  if (claims.length === 0) return null;
  return (
    <section>
      <h2>What the agent claims</h2>
      <ul className="column">
        {[...claims.entries()].map(([place, { statement, judgement }]) => (
          <li key={place}>
            <VerdictBadge of={{ verdict: judgement, waived: false }} /> {statement}
          </li>
        ))}
      </ul>
    </section>
  );
}

const STATES = { success: "passed", failure: "failed", pending: "running" } as const;

/** What the code host's own checks say of the commit. */
export function Ci({ ci }: { ci: NonNullable<Verification["ci"]> }) {
  const { word, tone } = statusOf({ status: STATES[ci.state], cause: null, old_tests: "not_run" });
  const link = safeLink(ci.url ?? "");
  return (
    <p>
      CI: <OutcomeBadge tone={tone}>{`${word}, ${ci.total} in all`}</OutcomeBadge> {ci.failed.join(", ")}{" "}
      {link && (
        <a href={link} target="_blank" rel="noopener noreferrer nofollow">
          Details
        </a>
      )}
    </p>
  );
}
