/** With what a run is started. The service keeps that for runs only, so a draft's is kept here. */
import type { Run, RunRequest } from "../../api/types";
import { Check, Input, Select } from "../../ui/controls";
import { readKept } from "../../ui/kept";
import { agentTitle, Reason, useAgents } from "./agents";

export interface Choices {
  /** Empty: the built-in one. */
  agent: string;
  model: string;
  /** Empty: the usual one. */
  effort: string;
  isInteractive: boolean;
}

export const USUAL: Choices = { agent: "", model: "", effort: "", isInteractive: true };

export const areWhole = ({ agent, model }: Choices): boolean => !agent || model.trim() !== "";

export const requestOf = ({ agent, model, effort, isInteractive }: Choices): RunRequest => ({
  mode: isInteractive ? "interactive" : "background",
  ...(agent ? { runtime_adapter: agent, model: model.trim() } : {}),
  ...(agent && effort ? { reasoning_effort: effort as NonNullable<RunRequest["reasoning_effort"]> } : {}),
});

export const choicesOf = (run: Run): Choices => ({
  agent: (run.model && run.runtime_adapter) || "",
  model: run.model ?? "",
  effort: run.reasoning_effort ?? "",
  isInteractive: run.state.mode === "interactive",
});

/** The options of another run of the same kind. */
export const againOf = (run: Run): RunRequest => ({
  ...requestOf(choicesOf(run)),
  ...(run.branch ? { branch: run.branch } : {}),
});

const keyOf = (task: string) => `taskbeacon.start.${task}`;

export const draftChoices = (task: string): Choices => ({ ...USUAL, ...readKept(localStorage, keyOf(task)) });

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
  const { agent, model, effort, isInteractive } = choices;
  const agents = useAgents().data?.results ?? [];
  const chosen = agents.find(({ name }) => name === agent);
  const models = chosen?.models ?? [];
  const efforts = models.find(({ name }) => name === model)?.efforts ?? [];
  const set = (changes: Partial<Choices>) => onChange({ ...choices, ...changes });
  return (
    <div className="column spaced">
      <div className="columns">
        <Select
          label="Agent"
          hint={agent ? undefined : "It executes the blocks of code in the text, and reads no prose"}
          value={agent}
          choices={[
            ["", "runbook (built in, needs no model)"],
            ...agents.map(({ name, available }) => [name, agentTitle(name), !available] as const),
            // Agents come later than a draft of one, and one may be gone.
            ...(agent && !chosen ? [[agent, agentTitle(agent)] as const] : []),
          ]}
          onChoose={(name) => {
            const first = agents.find((one) => one.name === name)?.models[0];
            set({ agent: name, model: first?.name ?? "", effort: "" });
          }}
        />
        {agent && (
          <Input
            label="Model"
            list="models"
            value={model}
            spellCheck={false}
            onChange={({ target }) => set({ model: target.value, effort: "" })}
          />
        )}
        {efforts.length > 0 && (
          <Select
            label="Effort"
            value={effort}
            choices={[["", "Usual"], ...efforts.map((one) => [one, one] as const)]}
            onChoose={(value) => set({ effort: value })}
          />
        )}
      </div>
      <datalist id="models">
        {models.map(({ name, display_name }) => (
          <option key={name} value={name} label={display_name} />
        ))}
      </datalist>
      <Check checked={isInteractive} onChange={({ target }) => set({ isInteractive: target.checked })}>
        Interactive: the agent asks you, and waits for messages after its turn
      </Check>
    </div>
  );
}

/** Why agents cannot be chosen. It comes later than the buttons, and stands below them: none moves under a tap. */
export function BlockedAgents() {
  const blocked = useAgents().data?.results.filter(({ available }) => !available) ?? [];
  if (blocked.length === 0) return null;
  return (
    <details className="small dim">
      <summary>{blocked.length === 1 ? "1 agent" : `${blocked.length} agents`} cannot be chosen</summary>
      {blocked.map(({ name, reason }) => (
        <p key={name}>
          {agentTitle(name)} cannot be chosen: <Reason text={reason ?? ""} />
        </p>
      ))}
    </details>
  );
}
