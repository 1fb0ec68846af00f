import { useQuery } from "@tanstack/react-query";
import { type ChangeEvent, useState } from "react";
import { changePreferences, fetchPreferences } from "../../api/attention";
import type { Preferences, QuietHours } from "../../api/types";
import { classes } from "../../ui/classes";
import { Button, Check, Form, Input, Select } from "../../ui/controls";
import { inWords } from "../../ui/counts";
import { Failure, Loading, say } from "../../ui/feedback";
import { spanInWords } from "../../ui/time";
import { useAction } from "../../ui/unmeant";
import { Section, Subset } from "./parts";
import styles from "./settings.module.css";

const KINDS = [
  ["awaiting", "An agent needs input"],
  ["completed", "A run is completed"],
  ["failed", "A run failed"],
  ["cancelled", "A run was cancelled"],
  ["notify_user", "An agent has a message for me"],
] as const;
const DAYS: QuietHours["days"] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const REMINDERS = [
  ["", "Never"],
  ["300", "After 5 minutes"],
  ["900", "After 15 minutes"],
  ["3600", "After an hour"],
  ["14400", "After 4 hours"],
] as const;
const TEXTS = [
  ["title", "The title of the task"],
  ["full", "The title and the question"],
  ["generic", "Neither: “A task needs your input”"],
] as const;

export function PreferencesSection() {
  const preferences = useQuery({ queryKey: ["preferences"], queryFn: fetchPreferences });
  const change = useAction({
    mutationFn: changePreferences,
    onSuccess: () => say("Saved."),
    refreshes: [["preferences"]],
  });
  if (preferences.isPending) return <Loading what="the preferences" />;
  if (!preferences.data) return <Failure error={preferences.error} onRetry={() => preferences.refetch()} />;
  const now = preferences.data;
  const reminder = now.reminder_after_seconds;
  // A program may have set another one.
  const isOther = reminder !== null && REMINDERS.every(([value]) => value !== String(reminder));
  const other = isOther ? [[String(reminder), `After ${spanInWords(reminder)}`] as const] : [];
  return (
    <Section name="notifications">
      <fieldset className={classes("column card padded", styles.box)}>
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
      <div className="columns">
        <Select
          label="A push shows"
          hint="Apple, Google and Expo can read what a push to a phone shows."
          value={now.push_text}
          choices={TEXTS}
          onChoose={(text) => change.mutate({ push_text: text as Preferences["push_text"] })}
        />
        <Select
          label="Remind me of a question that is still open"
          value={String(reminder ?? "")}
          choices={[...REMINDERS, ...other]}
          onChoose={(seconds) => change.mutate({ reminder_after_seconds: Number(seconds) || null })}
        />
      </div>
      <QuietHoursForm
        key={JSON.stringify(now.quiet_hours)}
        now={now}
        onSave={(changes) => change.mutate(changes)}
      />
    </Section>
  );
}

type Save = (changes: Partial<Preferences>) => void;

function QuietHoursForm({ now, onSave }: { now: Preferences; onSave: Save }) {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const [hours, setHours] = useState<QuietHours>(
    now.quiet_hours ?? { start: "22:00", end: "07:00", timezone: own, days: DAYS },
  );
  const set = (name: "start" | "end" | "timezone") => (event: ChangeEvent<HTMLInputElement>) =>
    setHours({ ...hours, [name]: event.target.value });
  const [allowsHigh, setAllowsHigh] = useState(now.allow_during_quiet.includes("high"));
  const save = () => {
    const others = now.allow_during_quiet.filter((urgency) => urgency !== "high");
    onSave({ quiet_hours: hours, allow_during_quiet: allowsHigh ? [...others, "high"] : others });
  };
  return (
    <Form className="column card padded" onSubmit={save}>
      <h3>
        Quiet hours <span className="faint">{now.quiet_hours ? "on" : "off: pushes come at any time"}</span>
      </h3>
      <p className="dim">Pushes wait while you rest, and come as one message afterwards.</p>
      <div className="columns">
        <Input label="From" type="time" required value={hours.start} onChange={set("start")} />
        <Input label="To" type="time" required value={hours.end} onChange={set("end")} />
        <Input label="Time zone" required value={hours.timezone} onChange={set("timezone")} />
      </div>
      <Subset
        title="Beginning on"
        choices={DAYS.map((day) => [day, inWords(day)])}
        chosen={hours.days}
        onChange={(days) => setHours({ ...hours, days: days as QuietHours["days"] })}
      />
      <Check checked={allowsHigh} onChange={(event) => setAllowsHigh(event.target.checked)}>
        Urgent questions come all the same
      </Check>
      <div className="row ends">
        {now.quiet_hours && <Button onClick={() => onSave({ quiet_hours: null })}>Switch off</Button>}
        <Button tone="primary" type="submit" disabled={hours.days.length === 0}>
          {now.quiet_hours ? "Save" : "Switch on"}
        </Button>
      </div>
    </Form>
  );
}
