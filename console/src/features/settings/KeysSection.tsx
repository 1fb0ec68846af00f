/** Keys with which programs act as the person. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { createKey, fetchKeys, revokeKey } from "../../api/keys";
import type { ApiKey } from "../../api/types";
import { Button, Check, Input, Select } from "../../ui/controls";
import { Failure, Loading } from "../../ui/feedback";
import { PageHeading } from "../../ui/heading";
import { Age } from "../../ui/time";
import { SureButton, useAction } from "../../ui/unmeant";
import { useProject } from "../project/project";
import { Secret } from "./Secret";
import styles from "./settings.module.css";

export function KeysSection() {
  const [isNew, setNew] = useState(false);
  const keys = useQuery({ queryKey: ["keys"], queryFn: fetchKeys });
  return (
    <section className={styles.section} aria-labelledby="keys">
      <div className={styles.headLine}>
        <PageHeading level="h2" id="keys">
          Keys
        </PageHeading>
        <Button onClick={() => setNew(true)}>
          <Plus size={16} aria-hidden="true" /> Create a key
        </Button>
      </div>
      <p className={styles.lead}>With a key a program acts as you, within the key's scopes.</p>
      {isNew && <NewKey onDone={() => setNew(false)} />}
      {keys.isPending && <Loading what="the keys" />}
      {keys.isError && <Failure error={keys.error} onRetry={() => keys.refetch()} />}
      <ul className={styles.list}>
        {keys.data?.map((key) => (
          <KeyRow key={key.id} of={key} />
        ))}
      </ul>
    </section>
  );
}

function KeyRow({ of: key }: { of: ApiKey }) {
  const queries = useQueryClient();
  const revoke = useAction({
    mutationFn: () => revokeKey(key.id),
    onSettled: () => queries.invalidateQueries({ queryKey: ["keys"] }),
  });
  return (
    <li className={styles.item}>
      <div className={styles.grow}>
        <p className={styles.name}>
          {key.label}
          {key.current && " (this console's)"}
        </p>
        <p className={styles.about}>
          <code>{key.mask}</code>
          <span>{key.scopes.includes("*") ? "all scopes" : key.scopes.join(", ")}</span>
          <span>
            {key.last_used_at ? (
              <>
                last used <Age at={key.last_used_at} inSentence />
              </>
            ) : (
              "never used"
            )}
          </span>
          {key.expires_at && <span>until {new Date(key.expires_at).toLocaleDateString()}</span>}
        </p>
      </div>
      <SureButton
        tone="danger"
        sureLabel={key.current ? "Really, and sign out" : "Really revoke"}
        disabled={revoke.isPending}
        onSure={() => revoke.mutate()}
      >
        Revoke<span className="visually-hidden"> {key.label}</span>
      </SureButton>
    </li>
  );
}

const LIVES = [
  ["30", "30 days"],
  ["365", "A year"],
  ["", "No end of its own"],
] as const;

function NewKey({ onDone }: { onDone: () => void }) {
  const { session } = useProject();
  const queries = useQueryClient();
  const [label, setLabel] = useState("");
  const [days, setDays] = useState("365");
  const [scopes, setScopes] = useState<readonly string[]>(session.scopes);
  const create = useAction({
    // Said in the form.
    onError: () => {},
    mutationFn: () =>
      createKey({ label: label.trim(), scopes: [...scopes], expires_in_days: Number(days) || null }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["keys"] }),
  });
  if (create.data)
    return (
      <Secret secret={create.data.value} onDone={onDone}>
        It is not shown again.
      </Secret>
    );
  return (
    <form
      className={styles.box}
      onSubmit={(event) => {
        event.preventDefault();
        create.mutate();
      }}
    >
      <div className={styles.columns}>
        <Input
          label="Name"
          required
          maxLength={40}
          value={label}
          onChange={({ target }) => setLabel(target.value)}
        />
        <Select label="Lasts" value={days} choices={LIVES} onChoose={setDays} />
      </div>
      <fieldset className={styles.days}>
        <legend>Scopes</legend>
        {session.scopes.map((scope) => (
          <Check
            key={scope}
            checked={scopes.includes(scope)}
            onChange={({ target }) =>
              setScopes(
                session.scopes.filter((one) => (one === scope ? target.checked : scopes.includes(one))),
              )
            }
          >
            {scope === "*" ? "all" : scope}
          </Check>
        ))}
      </fieldset>
      {create.isError && <Failure error={create.error} />}
      <div className={styles.actions}>
        <Button onClick={onDone}>Cancel</Button>
        <Button tone="primary" type="submit" disabled={create.isPending || scopes.length === 0}>
          Create
        </Button>
      </div>
    </form>
  );
}
