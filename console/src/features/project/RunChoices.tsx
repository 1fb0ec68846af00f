/** With what the first run of a task is started. The service keeps that for runs only, so a draft's is kept here. */
import type { RunRequest } from "../../api/tasks";
import { Check, Input, Select } from "../../ui/controls";
import { useKept } from "../../ui/kept";
import styles from "./choices.module.css";

export interface Choices {
  /** Empty: the built-in one. */
  agent: string;
  model: string;
  isInteractive: boolean;
}

export const USUAL: Choices = { agent: "", model: "", isInteractive: true };

const AGENTS = [
  ["", "runbook (built in, needs no model)"],
  ["claude", "Claude Code"],
  ["codex", "Codex"],
] as const;
const DEFAULT_MODELS: Record<string, string> = { claude: "claude-sonnet-5", codex: "gpt-5.5" };

export const areWhole = ({ agent, model }: Choices): boolean => !agent || model.trim() !== "";

export const requestOf = ({ agent, model, isInteractive }: Choices): RunRequest => ({
  mode: isInteractive ? "interactive" : "background",
  ...(agent ? { runtime_adapter: agent, model: model.trim() } : {}),
});

const keyOf = (task: string) => `taskbeacon.start.${task}`;

export const useDraftChoices = (task: string) => useKept(localStorage, keyOf(task), USUAL);

/** null: the task is no draft any more. */
export function keepDraftChoices(task: string, choices: Choices | null): void {
  if (choices) localStorage.setItem(keyOf(task), JSON.stringify(choices));
  else localStorage.removeItem(keyOf(task));
}

/** Under what the files of a draft are held. */
export const draftFiles = (task: string) => `${keyOf(task)}.files`;

interface Props {
  choices: Choices;
  onChange: (choices: Choices) => void;
}

export function RunChoices({ choices, onChange }: Props) {
  const { agent, model, isInteractive } = choices;
  return (
    <div className={styles.choices}>
      <div className={styles.columns}>
        <Select
          label="Agent"
          hint={agent ? undefined : "It executes the blocks of code in the text, and reads no prose"}
          value={agent}
          choices={AGENTS}
          onChoose={(value) => onChange({ ...choices, agent: value, model: DEFAULT_MODELS[value] ?? "" })}
        />
        {agent && (
          <Input
            label="Model"
            value={model}
            spellCheck={false}
            onChange={({ target }) => onChange({ ...choices, model: target.value })}
          />
        )}
      </div>
      <Check
        checked={isInteractive}
        onChange={({ target }) => onChange({ ...choices, isInteractive: target.checked })}
      >
        Interactive: the agent asks you, and waits for messages after its turn
      </Check>
    </div>
  );
}
