/** A webhook endpoint, with what can be done about it. */
import { useState } from "react";
import type { WebhookEndpoint } from "../../api/types";
import { deleteEndpoint, enableEndpoint, pingEndpoint, recover, rotateSecret } from "../../api/webhooks";
import { classes } from "../../ui/classes";
import { Button } from "../../ui/controls";
import { countOf } from "../../ui/counts";
import { say } from "../../ui/feedback";
import { Since, wholeTime } from "../../ui/time";
import { useAction } from "../../ui/unmeant";
import { useProject } from "../project/project";
import { Deliveries } from "./Deliveries";
import { Act, Item, Secret } from "./parts";
import styles from "./settings.module.css";

const DISABLED: Record<string, string> = {
  gone: "the receiver answered that it is gone",
  no_success: "nothing was delivered for five days",
  blocked_address: "its address is not allowed",
  user: "you switched it off",
};

export function EndpointRow({ endpoint }: { endpoint: WebhookEndpoint }) {
  const { project } = useProject();
  const [isOpen, setOpen] = useState(false);
  const refreshes = [["endpoints"]];
  const toggle = useAction({
    mutationFn: () => enableEndpoint(project.id, endpoint.id, !endpoint.enabled),
    refreshes,
  });
  const remove = useAction({ mutationFn: () => deleteEndpoint(project.id, endpoint.id), refreshes });
  const ping = useAction({
    mutationFn: () => pingEndpoint(project.id, endpoint.id),
    onSuccess: () => {
      say("Sent. The delivery shows what came back.");
      setOpen(true);
    },
    refreshes: [["deliveries", endpoint.id]],
  });
  const about = (
    <>
      <span>{endpoint.event_types.includes("*") ? "all events" : endpoint.event_types.join(", ")}</span>
      {endpoint.last_success_at && <Since at={endpoint.last_success_at}>last success</Since>}
      {endpoint.consecutive_failures > 0 && (
        <span className="danger">the last {countOf(endpoint.consecutive_failures, "attempt")} failed</span>
      )}
      {!endpoint.enabled && (
        <span className="danger">
          Off: {DISABLED[endpoint.disabled_reason ?? ""] ?? endpoint.disabled_reason}
        </span>
      )}
    </>
  );
  const below = isOpen && (
    <div className={"column padded"}>
      <Upkeep endpoint={endpoint} />
      <Deliveries endpoint={endpoint.id} />
    </div>
  );
  return (
    <Item name={endpoint.url} about={about} below={below}>
      <div className={classes("row wrap", styles.buttons)}>
        <Act label="Ping" to={endpoint.url} action={ping} />
        <Button aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          Deliveries<span className="visually-hidden"> {endpoint.url}</span>
        </Button>
        <Act label={endpoint.enabled ? "Switch off" : "Switch on"} to={endpoint.url} action={toggle} />
        <Act label="Delete" to={endpoint.url} action={remove} sure="Really delete" />
      </div>
    </Item>
  );
}

const WEEK_MS = 7 * 24 * 3_600_000;

/** What is done after an outage of the receiver, or when its secret has leaked. */
function Upkeep({ endpoint }: { endpoint: WebhookEndpoint }) {
  const { project } = useProject();
  const repeat = useAction({
    mutationFn: () => {
      // What happened before there was an endpoint is not missing.
      const since = Math.max(Date.now() - WEEK_MS, Date.parse(endpoint.created_at));
      return recover(project.id, endpoint.id, new Date(since).toISOString());
    },
    onSuccess: ({ count }) =>
      say(count === 0 ? "Everything has arrived." : `Sent again: ${countOf(count, "message")}.`),
    refreshes: [["deliveries", endpoint.id]],
  });
  const rotate = useAction({ mutationFn: () => rotateSecret(project.id, endpoint.id) });
  if (rotate.data) {
    const { secret, old_secret_valid_until: until } = rotate.data;
    const said = `The secret before signs beside it until ${wholeTime(until)}.`;
    return <Secret secret={secret} said={said} onDone={rotate.reset} />;
  }
  return (
    <div className="row wrap apart">
      <Act label="Send what did not arrive" to={endpoint.url} action={repeat} />
      <Act label="New secret" to={endpoint.url} action={rotate} sure="Really a new secret" />
    </div>
  );
}
