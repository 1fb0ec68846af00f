/** The agents that the workers have. */
import type { Agent } from "../../api/types";
import { countOf } from "../../ui/counts";
import { OutcomeBadge } from "../../ui/status";
import { agentTitle, Reason, useAgents } from "../project/agents";
import { Item, Listed, Section } from "./parts";

export function AgentsSection() {
  const agents = useAgents();
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
