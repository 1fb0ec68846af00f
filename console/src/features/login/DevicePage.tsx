/** Signs a terminal in: the person types its code, sees what asks, and decides. A link alone does nothing. */
import { useState } from "react";
import { ApiError } from "../../api/errors";
import { approveTerminal, denyTerminal, fetchTerminal } from "../../api/terminals";
import type { PendingLogin, Session } from "../../api/types";
import { Button, Form, Input, Select } from "../../ui/controls";
import { Failure } from "../../ui/feedback";
import { PageHeading } from "../../ui/heading";
import { Age } from "../../ui/time";
import { useAction } from "../../ui/unmeant";
import styles from "./login.module.css";

// What fails is said in the form.
const inForm = { onError: () => {} };

const GO_ON = "Go on there. Its key is among your keys, where you can revoke it.";

const problemOf = (error: Error | null) =>
  error instanceof ApiError && error.status === 404
    ? new Error("No terminal waits with this code. It may be too old: start again there.")
    : error;

export default function DevicePage({ session }: { session: Session }) {
  const [code, setCode] = useState("");
  const find = useAction({ ...inForm, mutationFn: () => fetchTerminal(code) });
  return (
    <main className={styles.page}>
      {find.data ? (
        <Decision session={session} code={code} of={find.data} />
      ) : (
        <Form className={styles.card} onSubmit={() => find.mutate()}>
          <PageHeading>Sign a terminal in</PageHeading>
          <p className="dim">
            <code>taskbeacon login</code> shows a code.
          </p>
          <Input
            label="Code"
            required
            maxLength={20}
            autoComplete="off"
            autoCapitalize="characters"
            spellCheck={false}
            placeholder="BCDF-GHJK"
            value={code}
            onChange={({ target }) => setCode(target.value)}
          />
          {find.isError && <Failure error={problemOf(find.error)} />}
          <Button tone="primary" large type="submit" disabled={find.isPending || !code.trim()}>
            Continue
          </Button>
        </Form>
      )}
    </main>
  );
}

function Decision({ session, code, of: terminal }: { session: Session; code: string; of: PendingLogin }) {
  const [project, setProject] = useState(String(session.projects[0]?.id));
  const decide = useAction({
    ...inForm,
    mutationFn: (isMine: boolean) => (isMine ? approveTerminal(code, Number(project)) : denyTerminal(code)),
  });
  if (decide.isSuccess)
    return (
      <div className={styles.card} role="status">
        <PageHeading>{`The terminal is ${decide.variables ? "signed in" : "refused"}`}</PageHeading>
        <p className="dim">{decide.variables ? GO_ON : "It gets no key."}</p>
      </div>
    );
  return (
    <div className={styles.card}>
      <PageHeading>Is this your terminal?</PageHeading>
      <p className="dim">
        <strong>{terminal.client}</strong> asks from {terminal.address || "an unknown address"} (
        <Age at={terminal.created_at} inSentence />
        ). It would act as you: {terminal.scopes.join(", ")}.
      </p>
      <p className="dim">
        Confirm only if you have started this yourself. If somebody sent you the code, refuse.
      </p>
      {session.projects.length > 1 && (
        <Select
          label="Project"
          value={project}
          choices={session.projects.map(({ id, name }) => [String(id), name] as const)}
          onChoose={setProject}
        />
      )}
      {decide.isError && <Failure error={problemOf(decide.error)} />}
      <Button tone="primary" large disabled={decide.isPending} onClick={() => decide.mutate(true)}>
        Confirm
      </Button>
      <Button large disabled={decide.isPending} onClick={() => decide.mutate(false)}>
        Refuse
      </Button>
    </div>
  );
}
