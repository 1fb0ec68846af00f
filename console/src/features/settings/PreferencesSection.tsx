import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { changePreferences, fetchPreferences } from "../../api/attention";
import type { Preferences, QuietHours } from "../../api/types";
import { Button, Check, Field, Input, Select } from "../../ui/controls";
import { Failure, Loading, say, sayError } from "../../ui/feedback";
import styles from "./settings.module.css";

const KINDS = [
  ["awaiting", "An agent needs input"],
  ["completed", "A run is completed"],
  ["failed", "A run failed"],
  ["cancelled", "A run was cancelled"],
] as const;
const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const TEXTS = [
  ["title", "The title of the task"],
  ["full", "The title and the question"],
  ["generic", "Neither: “A task needs your input”"],
] as const;

export function PreferencesSection() {
  const queries = useQueryClient();
  const preferences = useQuery({ queryKey: ["preferences"], queryFn: fetchPreferences });
  const change = useMutation({
    mutationFn: changePreferences,
    onSuccess: (now) => {
      queries.setQueryData(["preferences"], now);
      say("Saved.");
    },
    onError: sayError,
  });
  if (preferences.isPending) return <Loading what="the preferences" />;
  if (!preferences.data) return <Failure error={preferences.error} onRetry={() => preferences.refetch()} />;
  const now = preferences.data;
  return (
    <section aria-labelledby="notifications">
      <h2 id="notifications">Notifications</h2>
      <fieldset className={styles.box}>
        <legend>Push me when</legend>
        {KINDS.map(([kind, name]) => (
          <Check
            key={kind}
            checked={now[kind]}
            disabled={change.isPending}
            onChange={(event) => change.mutate({ [kind]: event.target.checked })}
          >
            {name}
          </Check>
        ))}
      </fieldset>
      <div className={styles.narrow}>
        <Field label="A push shows" hint="Apple, Google and Expo can read what a push to a phone shows.">
          {(ids) => (
            <Select
              {...ids}
              value={now.push_text}
              onChange={(event) =>
                change.mutate({ push_text: event.target.value as Preferences["push_text"] })
              }
            >
              {TEXTS.map(([value, name]) => (
                <option key={value} value={value}>
                  {name}
                </option>
              ))}
            </Select>
          )}
        </Field>
      </div>
      <QuietHoursForm
        key={JSON.stringify(now.quiet_hours)}
        now={now}
        onSave={(changes) => change.mutate(changes)}
      />
    </section>
  );
}

function QuietHoursForm({
  now,
  onSave,
}: {
  now: Preferences;
  onSave: (changes: Partial<Preferences>) => void;
}) {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const [hours, setHours] = useState<QuietHours>(
    now.quiet_hours ?? { start: "22:00", end: "07:00", timezone: own, days: DAYS },
  );
  const [allowsHigh, setAllowsHigh] = useState(now.allow_during_quiet.includes("high") ?? false);
  return (
    <form
      className={styles.box}
      onSubmit={(event) => {
        event.preventDefault();
        onSave({ quiet_hours: hours, allow_during_quiet: allowsHigh ? ["high"] : [] });
      }}
    >
      <h3>Quiet hours</h3>
      <p className={styles.lead}>
        {now.quiet_hours
          ? `From ${now.quiet_hours.start} to ${now.quiet_hours.end} (${now.quiet_hours.timezone}) pushes wait, and come as one message afterwards.`
          : "None. Pushes come at any time."}
      </p>
      <div className={styles.columns}>
        <Field label="From">
          {(ids) => (
            <Input
              {...ids}
              type="time"
              required
              value={hours.start}
              onChange={(event) => setHours({ ...hours, start: event.target.value })}
            />
          )}
        </Field>
        <Field label="To">
          {(ids) => (
            <Input
              {...ids}
              type="time"
              required
              value={hours.end}
              onChange={(event) => setHours({ ...hours, end: event.target.value })}
            />
          )}
        </Field>
        <Field label="Time zone">
          {(ids) => (
            <Input
              {...ids}
              required
              value={hours.timezone}
              onChange={(event) => setHours({ ...hours, timezone: event.target.value })}
            />
          )}
        </Field>
      </div>
      <Check checked={allowsHigh} onChange={(event) => setAllowsHigh(event.target.checked)}>
        Urgent questions come all the same
      </Check>
      <div className={styles.actions}>
        {now.quiet_hours && <Button onClick={() => onSave({ quiet_hours: null })}>Switch off</Button>}
        <Button tone="primary" type="submit">
          Save
        </Button>
      </div>
    </form>
  );
}
