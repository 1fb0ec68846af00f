/** Commands that judge the work on a task. What else a check says is kept as it is. */
import { Plus, X } from "lucide-react";
import type { Acceptance } from "../../api/types";
import { Button, IconButton, Input } from "../../ui/controls";
import styles from "./tasks.module.css";

interface Props {
  acceptance: Acceptance | null;
  onChange: (acceptance: Acceptance | null) => void;
}

type Check = Acceptance["checks"][number];

export function ChecksField({ acceptance, onChange }: Props) {
  const checks = acceptance?.checks ?? [];
  const put = (next: Check[]) => {
    const isEmpty = next.length === 0 && !acceptance?.setup?.length;
    // The service fills in what is not given.
    onChange(isEmpty ? null : ({ ...acceptance, checks: next } as Acceptance));
  };
  const change = (at: number, changes: Partial<Check>) =>
    put(checks.map((check, index) => (index === at ? { ...check, ...changes } : check)));
  const add = () => {
    const free = checks.length + 1;
    put([...checks, { id: `check-${free}`, shell: "" } as Check]);
  };
  return (
    <fieldset className={styles.checks}>
      <legend className="small dim">Checks</legend>
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
            value={check.shell ?? check.run?.join(" ") ?? ""}
            onChange={({ target }) => change(index, { shell: target.value, run: null })}
          />
          <IconButton
            label={`Remove check ${index + 1}`}
            onClick={() => put(checks.filter((_, at) => at !== index))}
            icon={X}
          />
        </div>
      ))}
      <Button tone="quiet" onClick={add}>
        <Plus size={14} /> Add a command that must pass
      </Button>
    </fieldset>
  );
}
