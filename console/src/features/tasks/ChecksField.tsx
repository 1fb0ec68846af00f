/** Commands that judge the work on a task. What else a check says is kept as it is. */
import { useQuery } from "@tanstack/react-query";
import { Plus, X } from "lucide-react";
import { useRef } from "react";
import { fetchPlanned } from "../../api/checks";
import { ApiError } from "../../api/errors";
import { fetchTasks } from "../../api/tasks";
import type { Acceptance, Task } from "../../api/types";
import { Button, IconButton, Input } from "../../ui/controls";
import styles from "./tasks.module.css";

interface Props {
  acceptance: Acceptance | null;
  /** The task that they were taken from, until they are changed. */
  from?: Task | undefined;
  /** Why it was not stored. */
  error: unknown;
  onChange: (acceptance: Acceptance | null) => void;
}

type Check = Acceptance["checks"][number];

const isBlank = ({ shell, run }: Check) => !shell?.trim() && !run?.length;

/** Without the checks that have no command. */
export function withoutBlank(acceptance: Acceptance | null): Acceptance | null {
  const checks = acceptance?.checks.filter((check) => !isBlank(check)) ?? [];
  return acceptance && (checks.length > 0 || acceptance.setup?.length) ? { ...acceptance, checks } : null;
}

/** Says before a run that nothing is there to check its work. */
export function Unchecked({ project, repository }: { project: number; repository: string }) {
  const sets = useQuery({
    queryKey: ["check_sets", project, repository, "planned"],
    queryFn: () => fetchPlanned(project, repository),
    enabled: repository !== "",
  }).data;
  const text = repository
    ? sets?.every(({ checks }) => checks.length === 0) &&
      `Nothing is defined that checks the work, neither here nor for ${repository}. The repository may name some.`
    : "Without a repository the work is not checked.";
  return text && <p className="small dim">{text}</p>;
}

/** Return the newest task of a repository: a new one begins with its checks, its agent and its model. */
export function useNewest(project: number, repository: string, isKnown: boolean): Task | undefined {
  const newest = useQuery({
    queryKey: ["tasks", project, { repository }, "newest"],
    queryFn: () => fetchTasks(project, { repository }, 1, 0),
    enabled: isKnown,
  });
  return newest.data?.results[0];
}

const FIELDS: Record<string, string> = { id: "Name", shell: "Command" };

/** Which of the checks that were sent an error is about, and what it says. */
export function checkErrorOf(error: unknown): [at: number, text: string] | null {
  const [, at, field = ""] =
    (error instanceof ApiError && /^acceptance__checks__(\d+)__(.+)/.exec(error.attr)) || [];
  return at === undefined ? null : [Number(at), `${FIELDS[field] ?? field}: ${(error as ApiError).detail}`];
}

const intoView = (element: HTMLElement | null) => element?.scrollIntoView?.({ block: "center" });

export function ChecksField({ acceptance, from, error, onChange }: Props) {
  const checks = acceptance?.checks ?? [];
  const [wrong, why] = checkErrorOf(error) ?? [];
  const sent = checks.filter((check) => !isBlank(check));
  const added = useRef(-1);
  const focusAdded = (input: HTMLInputElement | null) => {
    added.current = -1;
    input?.focus();
  };
  const put = (next: Check[]) => {
    const isEmpty = next.length === 0 && !acceptance?.setup?.length;
    // The service fills in what is not given.
    onChange(isEmpty ? null : ({ ...acceptance, checks: next } as Acceptance));
  };
  const change = (at: number, changes: Partial<Check>) =>
    put(checks.map((check, index) => (index === at ? { ...check, ...changes } : check)));
  const add = () => {
    const free = checks.length + 1;
    added.current = checks.length;
    put([...checks, { id: `check-${free}`, shell: "" } as Check]);
  };
  return (
    <fieldset className={styles.checks}>
      <legend className="small dim">
        Checks{from && checks.length > 0 && `, as in ${from.slug}, the newest task of ${from.repository}`}
      </legend>
      {checks.map((check, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a check is changed in place, its name too
        <div key={index}>
          <Input
            aria-label={`Name of check ${index + 1}`}
            value={check.id}
            onChange={({ target }) => change(index, { id: target.value })}
          />
          <Input
            aria-label={`Command of check ${index + 1}`}
            placeholder="make test"
            spellCheck={false}
            ref={added.current === index ? focusAdded : undefined}
            value={check.shell ?? check.run?.join(" ") ?? ""}
            onChange={({ target }) => change(index, { shell: target.value, run: null })}
          />
          <IconButton
            label={`Remove check ${index + 1}`}
            onClick={() => put(checks.filter((_, at) => at !== index))}
            icon={X}
          />
          {sent[wrong ?? -1] === check && (
            <p className="small danger" role="alert" ref={intoView}>
              {why}
            </p>
          )}
        </div>
      ))}
      <Button tone="quiet" onClick={add}>
        <Plus size={14} /> Add a command that must pass
      </Button>
    </fieldset>
  );
}
