/** The deliveries of a webhook endpoint, each with its attempts. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { CircleCheck, CircleSlash, CircleX, Clock3 } from "lucide-react";
import { useState } from "react";
import { type Delivery, fetchDeliveries, fetchDelivery, redeliver } from "../../api/webhooks";
import { Button, Chevron } from "../../ui/controls";
import { Failure, Loading, say } from "../../ui/feedback";
import { Age, clockTime, wholeTime } from "../../ui/time";
import { useAction } from "../../ui/unmeant";
import { useProject } from "../project/project";
import styles from "./settings.module.css";

const ICONS = { pending: Clock3, delivered: CircleCheck, failed: CircleX, cancelled: CircleSlash } as const;

export function Deliveries({ endpoint }: { endpoint: string }) {
  const { project } = useProject();
  const deliveries = useQuery({
    queryKey: ["deliveries", endpoint],
    queryFn: () => fetchDeliveries(project.id, endpoint),
    refetchInterval: 5000,
  });
  if (deliveries.isPending) return <Loading what="the deliveries" />;
  if (!deliveries.data) return <Failure error={deliveries.error} onRetry={() => deliveries.refetch()} />;
  if (deliveries.data.length === 0) return <p className={styles.lead}>Nothing was sent yet.</p>;
  return (
    <ul>
      {deliveries.data.map((delivery) => (
        <DeliveryRow key={delivery.id} endpoint={endpoint} delivery={delivery} />
      ))}
    </ul>
  );
}

function deliveryText({ status, attempts, next_attempt_at }: Delivery): string {
  const times = attempts === 1 ? "1 attempt" : `${attempts} attempts`;
  if (status === "pending" && attempts > 0)
    return `${times} failed${next_attempt_at ? `, next at ${clockTime(next_attempt_at)}` : ""}`;
  if (status === "pending") return "waits to be sent";
  if (status === "failed") return `failed after ${times}`;
  return attempts > 1 ? `${status}, ${times}` : status;
}

function DeliveryRow({ endpoint, delivery }: { endpoint: string; delivery: Delivery }) {
  const { project } = useProject();
  const queries = useQueryClient();
  const [isOpen, setOpen] = useState(false);
  const again = useAction({
    mutationFn: () => redeliver(project.id, endpoint, delivery.id),
    onSuccess: () => {
      say("It is sent again.");
      void queries.invalidateQueries({ queryKey: ["deliveries", endpoint] });
    },
  });
  const Icon = ICONS[delivery.status];
  return (
    <li>
      <div
        className={styles.delivery}
        data-status={delivery.status}
        data-is-late={delivery.status === "pending" && delivery.attempts > 0}
      >
        <Icon size={15} aria-hidden="true" />
        <button type="button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          <span>{delivery.event_type}</span>
          <span>{deliveryText(delivery)}</span>
          <Age at={delivery.created_at} inSentence />
          <Chevron isOpen={isOpen} />
        </button>
        <Button tone="quiet" disabled={again.isPending} onClick={() => again.mutate()}>
          Send again
        </Button>
      </div>
      {isOpen && <Attempts endpoint={endpoint} delivery={delivery} />}
    </li>
  );
}

function Attempts({ endpoint, delivery }: { endpoint: string; delivery: Delivery }) {
  const { project } = useProject();
  const whole = useQuery({
    queryKey: ["deliveries", endpoint, delivery.id, delivery.attempts],
    queryFn: () => fetchDelivery(project.id, endpoint, delivery.id),
  });
  if (whole.isPending) return <Loading what="the attempts" />;
  if (!whole.data) return <Failure error={whole.error} />;
  return (
    <div className={styles.attempts}>
      <ol>
        {whole.data.attempts.map((attempt) => (
          <li key={attempt.n}>
            {attempt.n}. {wholeTime(attempt.started_at)}:{" "}
            {attempt.status_code ?? attempt.error ?? attempt.outcome}
            {attempt.duration_ms !== null && ` in ${attempt.duration_ms} ms`}
            {attempt.response_excerpt && <pre>{attempt.response_excerpt}</pre>}
          </li>
        ))}
      </ol>
      {delivery.next_attempt_at && <p>Next attempt {wholeTime(delivery.next_attempt_at)}</p>}
      <h3>What was sent</h3>
      <pre tabIndex={0} role="group" aria-label="What was sent">
        {whole.data.request.body}
      </pre>
    </div>
  );
}
