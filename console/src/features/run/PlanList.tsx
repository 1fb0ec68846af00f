/** The steps of an agent's plan, with their progress. */
import { Circle, CircleCheck, CircleDot, ListChecks } from "lucide-react";
import type { PlanEntry } from "../../transcript/items";
import { Empty } from "../../ui/feedback";

const PLAN_LOOKS = {
  pending: [Circle, "to do", "faint", ""],
  in_progress: [CircleDot, "in progress", "running", ""],
  completed: [CircleCheck, "done", "success", "dim"],
} as const;

export function PlanList({ entries }: { entries: PlanEntry[] }) {
  if (entries.length === 0)
    return (
      <Empty icon={ListChecks} title="No plan">
        <p>When the agent writes a plan, its steps and their progress appear here.</p>
      </Empty>
    );
  return (
    <ol className="column">
      {entries.map((entry, index) => {
        const [Icon, word, tone, look] = PLAN_LOOKS[entry.status];
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: an agent sends its plan as a whole
          <li key={index} className={"row top"}>
            <Icon size={15} className={tone} />
            <span className={look}>{entry.text}</span>
            <span className="visually-hidden"> ({word})</span>
          </li>
        );
      })}
    </ol>
  );
}
