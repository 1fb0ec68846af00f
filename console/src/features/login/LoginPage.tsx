/** Signs in by a link of one use (its code stands behind the `#`, so no log has it), or by an API key. */
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useLocation } from "wouter";
import { ApiError } from "../../api/errors";
import { signIn } from "../../api/session";
import { expectPage } from "../../ui/arrival";
import { Button, Form, Input } from "../../ui/controls";
import { Failure } from "../../ui/feedback";
import { PageHeading } from "../../ui/heading";
import { useAction } from "../../ui/unmeant";
import styles from "./login.module.css";

const isRefusal = (error: unknown) => error instanceof ApiError && error.isSignedOut;

/** `isSignedIn`: this browser has a session, which a login link may replace. */
export function LoginPage({ isSignedIn }: { isSignedIn: boolean }) {
  const queries = useQueryClient();
  const [location, navigate] = useLocation();
  const [key, setKey] = useState("");
  const login = useAction({
    mutationFn: signIn,
    onSuccess: (session) => {
      // The session stays, since the page looks at it; what the person before saw goes.
      queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== "session" });
      expectPage();
      queries.setQueryData(["session"], session);
      if (location.startsWith("/login")) navigate("/", { replace: true });
    },
    onError: (error, credential) => {
      if (!isSignedIn || !("code" in credential) || !isRefusal(error)) return;
      expectPage();
      navigate("/", { replace: true });
    },
  });
  const { mutate } = login;

  useEffect(() => {
    const code = window.location.hash.slice(1);
    if (!code || !location.startsWith("/login")) return;
    // Used up: the effect finds no code when it runs again.
    history.replaceState(null, "", window.location.pathname);
    mutate({ code });
  }, [location, mutate]);

  const isWrongKey = isRefusal(login.error) && login.variables !== undefined && "api_key" in login.variables;
  const problem = isWrongKey ? new Error("This key is wrong, expired or revoked.") : login.error;
  return (
    <main className={styles.page}>
      <Form className={styles.card} onSubmit={() => mutate({ api_key: key.trim() })}>
        <img src="/console/icon.svg" alt="" width="32" height="32" />
        <PageHeading>Sign in to Taskbeacon</PageHeading>
        <p className="dim">
          <code>taskbeacon console</code> prints a link that signs you in; in a checkout, it is{" "}
          <code>.venv/bin/taskbeacon console</code>. Or use your API key:
        </p>
        <Input
          label="API key"
          type="password"
          autoComplete="current-password"
          placeholder="phx_…"
          value={key}
          required
          onChange={(event) => setKey(event.target.value)}
        />
        {problem && <Failure error={problem} />}
        <Button tone="primary" large type="submit" disabled={login.isPending || !key.trim()}>
          {login.isPending ? "Signing in …" : "Sign in"}
        </Button>
      </Form>
    </main>
  );
}
