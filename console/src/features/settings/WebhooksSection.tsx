import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus, Webhook } from "lucide-react";
import { useState } from "react";
import { createEndpoint, fetchEndpoints } from "../../api/webhooks";
import { Button, Input } from "../../ui/controls";
import { Empty, Failure, Loading } from "../../ui/feedback";
import { PageHeading } from "../../ui/heading";
import { useAction } from "../../ui/unmeant";
import { useProject } from "../project/project";
import { EndpointRow } from "./EndpointRow";
import { Secret } from "./Secret";
import styles from "./settings.module.css";

export function WebhooksSection() {
  const { project } = useProject();
  const [isNew, setNew] = useState(false);
  const endpoints = useQuery({
    queryKey: ["endpoints", project.id],
    queryFn: () => fetchEndpoints(project.id),
    refetchInterval: 5000,
  });
  return (
    <section className={styles.section} aria-labelledby="webhooks">
      <div className={styles.headLine}>
        <PageHeading level="h2" id="webhooks">
          Webhooks
        </PageHeading>
        <Button onClick={() => setNew(true)}>
          <Plus size={16} aria-hidden="true" /> Add an endpoint
        </Button>
      </div>
      <p className={styles.lead}>
        Taskbeacon sends signed events of your tasks in {project.name} to these addresses.
      </p>
      {isNew && <NewEndpoint onDone={() => setNew(false)} />}
      {endpoints.isPending && <Loading what="the endpoints" />}
      {endpoints.isError && <Failure error={endpoints.error} onRetry={() => endpoints.refetch()} />}
      {endpoints.data?.length === 0 && !isNew && (
        <Empty icon={Webhook} title="No endpoints">
          <p>Add the address of a program, and it gets an event for each thing that happens to your tasks.</p>
        </Empty>
      )}
      <ul className={styles.list}>
        {endpoints.data?.map((endpoint) => (
          <EndpointRow key={endpoint.id} endpoint={endpoint} />
        ))}
      </ul>
    </section>
  );
}

function NewEndpoint({ onDone }: { onDone: () => void }) {
  const { project } = useProject();
  const queries = useQueryClient();
  const [url, setUrl] = useState("");
  const [types, setTypes] = useState("run.*, question.*");
  const create = useAction({
    // Said in the form.
    onError: () => {},
    mutationFn: () => {
      const event_types = types.split(/[\s,]+/).filter(Boolean);
      return createEndpoint(project.id, { url: url.trim(), event_types, description: "" });
    },
    onSuccess: () => void queries.invalidateQueries({ queryKey: ["endpoints", project.id] }),
  });
  if (create.data) {
    return (
      <Secret secret={create.data.secret} onDone={onDone}>
        The receiver checks signatures with it. It is not shown again.
      </Secret>
    );
  }
  return (
    <form
      className={styles.box}
      onSubmit={(event) => {
        event.preventDefault();
        create.mutate();
      }}
    >
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
      {create.isError && <Failure error={create.error} />}
      <div className={styles.actions}>
        <Button onClick={onDone}>Cancel</Button>
        <Button tone="primary" type="submit" disabled={create.isPending}>
          Add
        </Button>
      </div>
    </form>
  );
}
