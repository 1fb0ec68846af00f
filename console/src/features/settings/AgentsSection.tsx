/** The agents that the workers have, and what the service allows. */
import { useQuery } from "@tanstack/react-query";
import { fetchLimits } from "../../api/tasks";
import type { Agent, Limit } from "../../api/types";
import { sizeText } from "../../ui/counts";
import { Failure, Loading } from "../../ui/feedback";
import { PageHeading } from "../../ui/heading";
import { OutcomeBadge } from "../../ui/status";
import { spanInWords } from "../../ui/time";
import { agentTitle, useAgents } from "../project/agents";
import { useProject } from "../project/project";
import styles from "./settings.module.css";

export function AgentsSection() {
  const { project } = useProject();
  const agents = useAgents();
  const limits = useQuery({ queryKey: ["limits", project.id], queryFn: () => fetchLimits(project.id) });
  return (
    <section className={styles.section} aria-labelledby="agents">
      <PageHeading level="h2" id="agents">
        Agents and limits
      </PageHeading>
      {agents.isPending && <Loading what="the agents" />}
      {agents.isError && <Failure error={agents.error} onRetry={() => agents.refetch()} />}
      {agents.data && (
        <p className={styles.lead}>
          {agents.data.workers === 0
            ? "No worker is alive: what is installed is not known."
            : `As ${agents.data.workers === 1 ? "1 worker reports" : `${agents.data.workers} workers report`} it. The built-in runbook is always there.`}
        </p>
      )}
      <ul className={styles.list}>
        {agents.data?.results.map((agent) => (
          <AgentRow key={agent.name} agent={agent} />
        ))}
      </ul>
      <h3 className={styles.subhead}>Limits</h3>
      {limits.isError && <Failure error={limits.error} onRetry={() => limits.refetch()} />}
      <ul className={styles.list}>
        {limits.data?.map((limit) => (
          <li key={limit.id} className={styles.item}>
            <span className={styles.grow}>{limit.id.replaceAll("_", " ")}</span>
            <span>{limitText(limit)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function AgentRow({ agent }: { agent: Agent }) {
  const { available, installed, reason, models } = agent;
  const isKnown = installed !== null;
  return (
    <li className={styles.item}>
      <div className={styles.grow}>
        <p className={styles.name}>{agentTitle(agent.name)}</p>
        <p className={styles.about}>
          {reason && <span>{reason}</span>}
          {models.length > 0 && <span>{models.map(({ display_name }) => display_name).join(", ")}</span>}
        </p>
      </div>
      <OutcomeBadge tone={!isKnown ? "neutral" : available ? "success" : "attention"}>
        {!isKnown ? "Not known" : available ? "Ready" : "Not ready"}
      </OutcomeBadge>
    </li>
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
