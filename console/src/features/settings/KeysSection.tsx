/** Keys with which programs act as the person. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { createKey, fetchKeys, revokeKey } from "../../api/keys";
import type { ApiKey } from "../../api/types";
import { Input, Select } from "../../ui/controls";
import { Since, wholeTime } from "../../ui/time";
import { useAction } from "../../ui/unmeant";
import { useProject } from "../project/project";
import { Act, Item, Listed, NewSecret, Section, Subset } from "./parts";

const KEYS = [["keys"]];

export function KeysSection() {
  const keys = useQuery({ queryKey: ["keys"], queryFn: fetchKeys });
  return (
    <Section
      name="keys"
      lead="With a key a program acts as you, within the key's scopes."
      add={{ label: "Create a key", form: (onDone) => <NewKey onDone={onDone} /> }}
    >
      <Listed of={keys} what="the keys">
        {(key) => <KeyRow key={key.id} of={key} />}
      </Listed>
    </Section>
  );
}

function KeyRow({ of: key }: { of: ApiKey }) {
  const revoke = useAction({ mutationFn: () => revokeKey(key.id), refreshes: KEYS });
  const about = (
    <>
      <code>{key.mask}</code>
      <span>{key.scopes.includes("*") ? "all scopes" : key.scopes.join(", ")}</span>
      {key.last_used_at ? <Since at={key.last_used_at}>last used</Since> : <span>never used</span>}
      {key.expires_at && <span>until {wholeTime(key.expires_at)}</span>}
    </>
  );
  return (
    <Item name={`${key.label}${key.current ? " (this console's)" : ""}`} about={about}>
      <Act
        label="Revoke"
        to={`${key.label} ${key.mask}`}
        action={revoke}
        sure={key.current ? "Really, and sign out" : "Really revoke"}
      />
    </Item>
  );
}

const LIVES = [
  ["30", "30 days"],
  ["365", "A year"],
  ["", "No end of its own"],
] as const;

function NewKey({ onDone }: { onDone: () => void }) {
  const { session } = useProject();
  const [label, setLabel] = useState("");
  const [days, setDays] = useState("365");
  const [scopes, setScopes] = useState<string[]>(session.scopes);
  const wanted = { label: label.trim(), scopes, expires_in_days: Number(days) || null };
  return (
    <NewSecret
      make={async () => (await createKey(wanted)).value}
      refreshes={KEYS}
      label="Create"
      isReady={scopes.length > 0}
      onDone={onDone}
      said="It is not shown again."
    >
      <div className="columns">
        <Input
          label="Name"
          required
          maxLength={40}
          value={label}
          onChange={({ target }) => setLabel(target.value)}
        />
        <Select label="Lasts" value={days} choices={LIVES} onChoose={setDays} />
      </div>
      <Subset
        title="Scopes"
        choices={session.scopes.map((scope) => [scope, scope === "*" ? "all" : scope])}
        chosen={scopes}
        onChange={setScopes}
      />
    </NewSecret>
  );
}
