import { useQuery } from "@tanstack/react-query";
import { Webhook } from "lucide-react";
import { useState } from "react";
import { createEndpoint, fetchEndpoints } from "../../api/webhooks";
import { Input } from "../../ui/controls";
import { Empty } from "../../ui/feedback";
import { useProject } from "../project/project";
import { EndpointRow } from "./EndpointRow";
import { Listed, NewSecret, Section } from "./parts";

export function WebhooksSection() {
  const { project } = useProject();
  const endpoints = useQuery({
    queryKey: ["endpoints", project.id],
    queryFn: () => fetchEndpoints(project.id),
    refetchInterval: 5000,
  });
  const empty = (
    <Empty icon={Webhook} title="No endpoints">
      <p>Add the address of a program, and it gets an event for each thing that happens to your tasks.</p>
    </Empty>
  );
  return (
    <Section
      name="webhooks"
      lead={`Taskbeacon sends signed events of your tasks in ${project.name} to these addresses.`}
      add={{ label: "Add an endpoint", form: (onDone) => <NewEndpoint onDone={onDone} /> }}
    >
      <Listed of={endpoints} what="the endpoints" empty={empty}>
        {(endpoint) => <EndpointRow key={endpoint.id} endpoint={endpoint} />}
      </Listed>
    </Section>
  );
}

function NewEndpoint({ onDone }: { onDone: () => void }) {
  const { project } = useProject();
  const [url, setUrl] = useState("");
  const [types, setTypes] = useState("run.*, question.*");
  const make = async () => {
    const event_types = types.split(/[\s,]+/).filter(Boolean);
    return (await createEndpoint(project.id, { url: url.trim(), event_types })).secret;
  };
  const said = "The receiver checks signatures with it. It is not shown again.";
  return (
    <NewSecret make={make} refreshes={[["endpoints"]]} label="Add" onDone={onDone} said={said}>
      <Input
        label="Address"
        hint="HTTPS on port 443"
        type="url"
        required
        value={url}
        onChange={(event) => setUrl(event.target.value)}
      />
      <Input
        label="Events"
        hint="Types or families, separated by commas; * for all"
        required
        value={types}
        onChange={(event) => setTypes(event.target.value)}
      />
    </NewSecret>
  );
}
