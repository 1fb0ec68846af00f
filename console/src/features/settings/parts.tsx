/** What the sections of the settings are made of. */
import type { QueryKey } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { type ReactNode, useState } from "react";
import { classes } from "../../ui/classes";
import { Button, type ButtonProps, Check, Form } from "../../ui/controls";
import { CopyButton } from "../../ui/copy";
import { inWords } from "../../ui/counts";
import { Failure, Loading } from "../../ui/feedback";
import { PageHeading } from "../../ui/heading";
import { SureButton, useAction } from "../../ui/unmeant";
import styles from "./settings.module.css";

interface SectionProps {
  name: string;
  lead?: ReactNode;
  /** A button, and the form that it shows. */
  add?: { label: string; form: (onDone: () => void) => ReactNode };
  children: ReactNode;
}

export function Section({ name, lead, add, children }: SectionProps) {
  const [isAdding, setAdding] = useState(false);
  return (
    <section className={styles.section} aria-labelledby={name}>
      <header className="row apart">
        <PageHeading level="h2" id={name}>
          {inWords(name)}
        </PageHeading>
        {add && (
          <Button onClick={() => setAdding(true)}>
            <Plus size={16} /> {add.label}
          </Button>
        )}
      </header>
      {lead && <p className="dim">{lead}</p>}
      {isAdding && add?.form(() => setAdding(false))}
      {children}
    </section>
  );
}

interface ListedProps<Row> {
  of: { isPending: boolean; data?: Row[] | undefined; error: unknown; refetch: () => unknown };
  what: string;
  empty?: ReactNode;
  children: (row: Row) => ReactNode;
}

export function Listed<Row>({ of: query, what, empty, children }: ListedProps<Row>) {
  if (query.isPending) return <Loading what={what} />;
  if (!query.data) return <Failure error={query.error} onRetry={() => query.refetch()} />;
  if (query.data.length === 0) return empty;
  return <ul className="card divided">{query.data.map(children)}</ul>;
}

interface ItemProps {
  name: ReactNode;
  about?: ReactNode;
  children?: ReactNode;
  below?: ReactNode;
}

export function Item({ name, about, children, below }: ItemProps) {
  return (
    <li>
      <div className="row wrap padded">
        <div className={styles.said}>
          <p className="strong">{name}</p>
          <p className={classes("row wrap small faint", styles.about)}>{about}</p>
        </div>
        {children}
      </div>
      {below}
    </li>
  );
}

interface ActProps extends ButtonProps {
  label: string;
  /** What it is done to: read out only. */
  to: string;
  action: { isPending: boolean; mutate: () => void };
  /** What it is called when it asks once more, since nothing brings back what it takes. */
  sure?: string;
}

/** A button of a row in a list. */
export function Act({ label, to, action: { isPending, mutate }, sure, ...rest }: ActProps) {
  const name = (
    <>
      {label}
      <span className="visually-hidden"> {to}</span>
    </>
  );
  const all = { disabled: isPending, children: name, ...rest };
  if (!sure) return <Button {...all} onClick={() => mutate()} />;
  return <SureButton tone="danger" {...all} sureLabel={sure} onSure={() => mutate()} />;
}

interface SubsetProps {
  title: string;
  choices: readonly (readonly [value: string, name: string])[];
  chosen: readonly string[];
  onChange: (chosen: string[]) => void;
}

/** Some of all choices, in their order. */
export function Subset({ title, choices, chosen, onChange }: SubsetProps) {
  const all = choices.map(([value]) => value);
  return (
    <fieldset className="row wrap">
      <legend className="small strong dim">{title}</legend>
      {choices.map(([value, name]) => (
        <Check
          key={value}
          checked={chosen.includes(value)}
          onChange={({ target }) =>
            onChange(all.filter((one) => (one === value ? target.checked : chosen.includes(one))))
          }
        >
          {name}
        </Check>
      ))}
    </fieldset>
  );
}

interface NewSecretProps {
  make: () => Promise<string>;
  refreshes: readonly QueryKey[];
  label: string;
  isReady?: boolean;
  onDone: () => void;
  said: string;
  children: ReactNode;
}

/** A form that makes something with a secret. */
export function NewSecret(props: NewSecretProps) {
  const { make, refreshes, label, isReady = true, onDone, said, children } = props;
  // A failure is said in the form.
  const made = useAction({ mutationFn: make, refreshes, onError: () => {} });
  if (made.data) return <Secret secret={made.data} said={said} onDone={onDone} />;
  return (
    <Form className="column card padded" onSubmit={() => made.mutate()}>
      {children}
      {made.isError && <Failure error={made.error} />}
      <div className="row ends">
        <Button onClick={onDone}>Cancel</Button>
        <Button tone="primary" type="submit" disabled={made.isPending || !isReady}>
          {label}
        </Button>
      </div>
    </Form>
  );
}

/** A secret that the service shows once. */
export function Secret({ secret, said, onDone }: { secret: string; said: string; onDone: () => void }) {
  return (
    <div className="column card padded" role="status">
      <h3>Save this secret now</h3>
      <p className="dim">{said}</p>
      <code className="well">{secret}</code>
      <div className="row ends">
        <CopyButton text={secret} label="Copy the secret" />
        <Button tone="primary" onClick={onDone}>
          Done
        </Button>
      </div>
    </div>
  );
}
