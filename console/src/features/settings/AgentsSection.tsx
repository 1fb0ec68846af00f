/** The agents that the workers have, and what the service allows. */
import { useQuery } from "@tanstack/react-query";
import { fetchLimits } from "../../api/tasks";
import type { Agent, Limit } from "../../api/types";
import { countOf, inWords, sizeText } from "../../ui/counts";
import { OutcomeBadge } from "../../ui/status";
import { spanInWords } from "../../ui/time";
import { agentTitle, Reason, useAgents } from "../project/agents";
import { useProject } from "../project/project";
import { Item, Listed, Section } from "./parts";

export function AgentsSection() {
  const { project } = useProject();
  const agents = useAgents();
  const limits = useQuery({ queryKey: ["limits", project.id], queryFn: () => fetchLimits(project.id) });
  const workers = agents.data?.workers;
  return (
    <Section
      name="agents"
      lead={
        workers === 0
          ? "No worker is alive: what is installed is not known."
          : workers && `As reported by ${countOf(workers, "worker")}. The built-in runbook is always there.`
      }
    >
      <Listed of={{ ...agents, data: agents.data?.results }} what="the agents">
        {(agent) => <AgentRow key={agent.name} agent={agent} />}
      </Listed>
      <h3>Limits</h3>
      <Listed of={limits} what="the limits">
        {(limit) => (
          <li key={limit.id} className="row apart padded">
            <span>{inWords(limit.id)}</span>
            <span className="dim figures">{limitText(limit)}</span>
          </li>
        )}
      </Listed>
    </Section>
  );
}

function AgentRow({ agent }: { agent: Agent }) {
  const { available, installed, reason, models } = agent;
  const isKnown = installed !== null;
  const about = (
    <>
      {reason && <Reason text={reason} />}
      {models.length > 0 && <span>{models.map(({ display_name }) => display_name).join(", ")}</span>}
    </>
  );
  return (
    <Item name={agentTitle(agent.name)} about={about}>
      <OutcomeBadge tone={!isKnown ? "neutral" : available ? "success" : "attention"}>
        {!isKnown ? "Not known" : available ? "Ready" : "Not ready"}
      </OutcomeBadge>
    </Item>
  );
}

function limitText({ id, value, unit }: Limit): string {
  if (value === null) return "no limit";
  if (unit === "seconds") return spanInWords(value);
  if (unit === "bytes") return sizeText(value);
  if (unit === "usd") return `$${value.toFixed(2)}`;
  const rate = unit !== id && unit.startsWith("requests_per_") ? unit.replace("requests_per_", " a ") : "";
  return value.toLocaleString() + rate;
}
