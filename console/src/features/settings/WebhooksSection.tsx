import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus, Webhook } from "lucide-react";
import { useState } from "react";
import type { WebhookEndpoint } from "../../api/types";
import {
  createEndpoint,
  deleteEndpoint,
  enableEndpoint,
  fetchEndpoints,
  pingEndpoint,
} from "../../api/webhooks";
import { Button, Field, Input } from "../../ui/controls";
import { Empty, Failure, Loading, say, sayError } from "../../ui/feedback";
import { Age } from "../../ui/time";
import { useProject } from "../project/project";
import { Deliveries } from "./Deliveries";
import styles from "./settings.module.css";

const DISABLED: Record<string, string> = {
  gone: "the receiver answered that it is gone",
  no_success: "nothing was delivered for five days",
  blocked_address: "its address is not allowed",
  user: "you switched it off",
};

export function WebhooksSection() {
  const { project } = useProject();
  const [isNew, setNew] = useState(false);
  const endpoints = useQuery({
    queryKey: ["endpoints", project.id],
    queryFn: () => fetchEndpoints(project.id),
  });
  return (
    <section aria-labelledby="webhooks">
      <div className={styles.headLine}>
        <h2 id="webhooks">Webhooks</h2>
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
  const create = useMutation({
    mutationFn: () => {
      const event_types = types.split(/[\s,]+/).filter(Boolean);
      return createEndpoint(project.id, { url: url.trim(), event_types, description: "" });
    },
    onSuccess: () => void queries.invalidateQueries({ queryKey: ["endpoints", project.id] }),
  });
  if (create.data) {
    return (
      <div className={styles.box} role="status">
        <h3>Keep this secret now</h3>
        <p className={styles.lead}>The receiver checks signatures with it. It is not shown again.</p>
        <code className={styles.secret}>{create.data.secret}</code>
        <div className={styles.actions}>
          <Button
            onClick={() => void navigator.clipboard.writeText(create.data.secret).then(() => say("Copied."))}
          >
            Copy
          </Button>
          <Button tone="primary" onClick={onDone}>
            Done
          </Button>
        </div>
      </div>
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
      <Field label="Address" hint="HTTPS on port 443">
        {(ids) => (
          <Input {...ids} type="url" required value={url} onChange={(event) => setUrl(event.target.value)} />
        )}
      </Field>
      <Field label="Events" hint="Types or families, separated by commas; * for all">
        {(ids) => (
          <Input {...ids} required value={types} onChange={(event) => setTypes(event.target.value)} />
        )}
      </Field>
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

const eventsText = (types: string[]) => (types.includes("*") ? "all events" : types.join(", "));
const failureText = (count: number) =>
  count === 1 ? "the last attempt failed" : `the last ${count} attempts failed`;

function EndpointRow({ endpoint }: { endpoint: WebhookEndpoint }) {
  const { project } = useProject();
  const queries = useQueryClient();
  const [isOpen, setOpen] = useState(false);
  const [isSure, setSure] = useState(false);
  const refresh = () => void queries.invalidateQueries({ queryKey: ["endpoints", project.id] });
  const action = useMutation({
    mutationFn: (run: () => Promise<unknown>) => run(),
    onSuccess: refresh,
    onError: sayError,
  });
  const ping = useMutation({
    mutationFn: () => pingEndpoint(project.id, endpoint.id),
    onSuccess: () => {
      say("Sent. The delivery shows what came back.");
      setOpen(true);
      void queries.invalidateQueries({ queryKey: ["deliveries", endpoint.id] });
    },
    onError: sayError,
  });
  return (
    <li>
      <div className={styles.item}>
        <div className={styles.grow}>
          <p className={styles.name}>{endpoint.url}</p>
          <p className={styles.about}>
            <span>{eventsText(endpoint.event_types)}</span>
            {endpoint.last_success_at && (
              <span>
                last success <Age at={endpoint.last_success_at} inSentence />
              </span>
            )}
            {endpoint.consecutive_failures > 0 && (
              <span className={styles.bad}>{failureText(endpoint.consecutive_failures)}</span>
            )}
            {!endpoint.enabled && (
              <span className={styles.bad}>
                Off: {DISABLED[endpoint.disabled_reason ?? ""] ?? endpoint.disabled_reason}
              </span>
            )}
          </p>
        </div>
        <div className={styles.buttons}>
          <Button disabled={ping.isPending} onClick={() => ping.mutate()}>
            Ping
          </Button>
          <Button aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
            Deliveries
          </Button>
          <Button
            onClick={() => action.mutate(() => enableEndpoint(project.id, endpoint.id, !endpoint.enabled))}
          >
            {endpoint.enabled ? "Switch off" : "Switch on"}
          </Button>
          <Button
            tone="danger"
            onClick={() =>
              isSure ? action.mutate(() => deleteEndpoint(project.id, endpoint.id)) : setSure(true)
            }
            onBlur={() => setSure(false)}
          >
            {isSure ? "Really delete" : "Delete"}
          </Button>
        </div>
      </div>
      {isOpen && <Deliveries endpoint={endpoint.id} />}
    </li>
  );
}
