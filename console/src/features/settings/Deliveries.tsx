/** The deliveries of a webhook endpoint, each with its attempts. */
import { useQuery } from "@tanstack/react-query";
import { CircleCheck, CircleSlash, CircleX, Clock3 } from "lucide-react";
import { useState } from "react";
import type { Delivery } from "../../api/types";
import { fetchDeliveries, fetchDelivery, redeliver } from "../../api/webhooks";
import { scrolling } from "../../ui/classes";
import { Chevron } from "../../ui/controls";
import { Failure, Loading, say } from "../../ui/feedback";
import { Age, clockTime, wholeTime } from "../../ui/time";
import { useAction } from "../../ui/unmeant";
import { useProject } from "../project/project";
import { Act, Listed } from "./parts";

const LOOKS = {
  pending: [Clock3, "faint"],
  delivered: [CircleCheck, "success"],
  failed: [CircleX, "danger"],
  cancelled: [CircleSlash, "faint"],
} as const;

export function Deliveries({ endpoint }: { endpoint: string }) {
  const { project } = useProject();
  const deliveries = useQuery({
    queryKey: ["deliveries", endpoint],
    queryFn: () => fetchDeliveries(project.id, endpoint),
    // What is on its way has mostly arrived by the next look.
    refetchInterval: ({ state }) => (state.data?.some(({ status }) => status === "pending") ? 1000 : 5000),
  });
  return (
    <Listed of={deliveries} what="the deliveries" empty={<p className="dim">Nothing was sent yet.</p>}>
      {(delivery) => <DeliveryRow key={delivery.id} endpoint={endpoint} delivery={delivery} />}
    </Listed>
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
  const [isOpen, setOpen] = useState(false);
  const again = useAction({
    mutationFn: () => redeliver(project.id, endpoint, delivery.id),
    onSuccess: () => say("It is sent again."),
    refreshes: [["deliveries", endpoint]],
  });
  const isLate = delivery.status === "pending" && delivery.attempts > 0;
  const [Icon, tone] = LOOKS[delivery.status];
  return (
    <li>
      <div className="row snug">
        <Icon size={15} className={isLate ? "attention" : tone} />
        <button
          type="button"
          className="row wrap spaced grow line small faint"
          aria-expanded={isOpen}
          onClick={() => setOpen(!isOpen)}
        >
          <strong>{delivery.event_type}</strong>
          <span>{deliveryText(delivery)}</span>
          <Age at={delivery.created_at} inSentence />
          <Chevron isOpen={isOpen} />
        </button>
        <Act
          tone="quiet"
          label="Send again"
          to={`${delivery.event_type} of ${wholeTime(delivery.created_at)}`}
          action={again}
        />
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
    <div className="column snug small dim">
      <ol>
        {whole.data.attempts.map((attempt) => (
          <li key={attempt.n}>
            {attempt.n}. {wholeTime(attempt.started_at)}:{" "}
            {attempt.status_code ?? attempt.error ?? attempt.outcome}
            {attempt.duration_ms !== null && ` in ${attempt.duration_ms} ms`}
            {attempt.response_excerpt && <pre className="well">{attempt.response_excerpt}</pre>}
          </li>
        ))}
      </ol>
      <h3>What was sent</h3>
      <pre className="well" {...scrolling("What was sent")}>
        {whole.data.request.body}
      </pre>
    </div>
  );
}
