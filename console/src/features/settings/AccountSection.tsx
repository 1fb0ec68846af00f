import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useLocation } from "wouter";
import { fetchSessions, revokeSession, signOut } from "../../api/session";
import type { SessionRow } from "../../api/types";
import { Button, Field, Select } from "../../ui/controls";
import { Failure, Loading, sayError } from "../../ui/feedback";
import { PageHeading } from "../../ui/heading";
import { chooseTheme, readTheme, type Theme } from "../../ui/theme";
import { Age } from "../../ui/time";
import { useAction } from "../../ui/unmeant";
import { useProject } from "../project/project";
import styles from "./settings.module.css";

export function AccountSection() {
  const { project, session } = useProject();
  const queries = useQueryClient();
  const [, navigate] = useLocation();
  const [theme, setTheme] = useState(readTheme);
  const sessions = useQuery({ queryKey: ["sessions"], queryFn: fetchSessions });
  const leave = useAction({
    mutationFn: signOut,
    onSuccess: () => {
      navigate("~/console/login");
      queries.clear();
    },
    onError: sayError,
  });
  return (
    <section aria-labelledby="account">
      <PageHeading level="h2" id="account">
        Account
      </PageHeading>
      <div className={styles.panel}>
        <div className={styles.grow}>
          <p className={styles.name}>
            {[session.user.first_name, session.user.last_name].join(" ").trim() || "You"}
          </p>
          <p className={styles.about}>{session.user.email}</p>
        </div>
        <Button onClick={() => leave.mutate()} disabled={leave.isPending}>
          Sign out
        </Button>
      </div>
      <div className={styles.columns}>
        <Field label="Theme">
          {(ids) => (
            <Select
              {...ids}
              value={theme}
              onChange={(event) => {
                const chosen = event.target.value as Theme;
                setTheme(chosen);
                chooseTheme(chosen);
              }}
            >
              <option value="system">Like the system</option>
              <option value="light">Light</option>
              <option value="dark">Dark</option>
            </Select>
          )}
        </Field>
        <Field label="Project">
          {(ids) => (
            <Select
              {...ids}
              value={project.id}
              onChange={(event) => navigate(`~/console/projects/${event.target.value}/`)}
            >
              {session.projects.map(({ id, name }) => (
                <option key={id} value={id}>
                  {name}
                </option>
              ))}
            </Select>
          )}
        </Field>
      </div>
      <h3 className={styles.subhead}>Sessions</h3>
      {sessions.isPending && <Loading what="the sessions" />}
      {sessions.isError && <Failure error={sessions.error} onRetry={() => sessions.refetch()} />}
      <ul className={styles.list}>
        {sessions.data?.map((row) => (
          <OneSession key={row.id} row={row} />
        ))}
      </ul>
    </section>
  );
}

/** "Firefox on Linux" rather than the whole header. */
export function browserName(userAgent: string): string {
  const browser = /(Firefox|Edg|OPR|Chrome|Safari)\//.exec(userAgent)?.[1];
  const system = /(Android|iPhone|iPad|Windows|Mac OS|Linux)/.exec(userAgent)?.[1];
  const name = { Edg: "Edge", OPR: "Opera" }[browser ?? ""] ?? browser;
  return name ? [name, system].filter(Boolean).join(" on ") : userAgent.slice(0, 60) || "Unknown browser";
}

function OneSession({ row }: { row: SessionRow }) {
  const queries = useQueryClient();
  const revoke = useAction({
    mutationFn: () => revokeSession(row.id),
    onError: sayError,
    onSettled: () => queries.invalidateQueries({ queryKey: ["sessions"] }),
  });
  return (
    <li className={styles.item}>
      <div className={styles.grow}>
        <p className={styles.name} title={row.user_agent}>
          {browserName(row.user_agent)}
          {row.current && " (this one)"}
        </p>
        <p className={styles.about}>
          <span>{row.address}</span>
          <span>
            last used <Age at={row.last_used_at} inSentence />
          </span>
        </p>
      </div>
      {!row.current && (
        <Button tone="danger" disabled={revoke.isPending} onClick={() => revoke.mutate()}>
          End
        </Button>
      )}
    </li>
  );
}
