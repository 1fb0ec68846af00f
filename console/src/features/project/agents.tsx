/** The agents that runs can use, as the workers report them. */
import { useQuery } from "@tanstack/react-query";
import { fetchAgents } from "../../api/tasks";
import { useProject } from "./project";

const TITLES: Record<string, string> = { claude: "Claude Code", codex: "Codex", gemini: "Gemini CLI" };

export const agentTitle = (name: string) => TITLES[name] ?? name;

/** Why an agent cannot be chosen, with the commands that are in it. */
export function Reason({ text }: { text: string }) {
  return (
    <span>{text.split("`").map((part, index) => (index % 2 ? <code key={part}>{part}</code> : part))}</span>
  );
}

export function useAgents() {
  const { project } = useProject();
  return useQuery({
    queryKey: ["agents", project.id],
    queryFn: () => fetchAgents(project.id),
    // Workers report as often.
    refetchInterval: 20_000,
  });
}
