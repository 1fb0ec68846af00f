import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useLocation } from "wouter";
import { fetchSessions, revokeSession, signOut } from "../../api/session";
import type { SessionRow } from "../../api/types";
import { chooseTheme, THEMES, useTheme } from "../../ui/appearance";
import { Button, Input, Select } from "../../ui/controls";
import { preciseTime, Since } from "../../ui/time";
import { useAction } from "../../ui/unmeant";
import { EDITORS, useEditor } from "../project/EditorLink";
import { nameOf, useProject } from "../project/project";
import { Act, Item, Listed, Section } from "./parts";
import styles from "./settings.module.css";

export function AccountSection() {
  const { session } = useProject();
  const queries = useQueryClient();
  const [, navigate] = useLocation();
  const [editor, setEditor] = useEditor();
  const sessions = useQuery({ queryKey: ["sessions"], queryFn: fetchSessions });
  const leave = useAction({
    mutationFn: signOut,
    onSuccess: () => {
      navigate("~/console/login");
      queries.clear();
    },
  });
  return (
    <Section name="account">
      <div className="row wrap spaced card padded">
        <div className={styles.said}>
          <p className="strong">{nameOf(session.user)}</p>
          <p className="small faint">{session.user.email}</p>
        </div>
        <Button onClick={() => leave.mutate()} disabled={leave.isPending}>
          Sign out
        </Button>
      </div>
      <div className="columns">
        <Select label="Theme" value={useTheme()} choices={THEMES} onChoose={chooseTheme} />
        <Select
          label="Editor"
          value={editor.scheme}
          choices={EDITORS}
          onChoose={(scheme) => setEditor({ ...editor, scheme })}
        />
        {editor.scheme && (
          <Input
            label="Folder of your clones"
            hint="{repository} stands for organization/repository"
            placeholder="/home/me/src/{repository}"
            spellCheck={false}
            value={editor.folder}
            onChange={({ target }) => setEditor({ ...editor, folder: target.value })}
          />
        )}
      </div>
      <h3>Sessions</h3>
      <Listed of={sessions} what="the sessions">
        {(row) => <OneSession key={row.id} row={row} />}
      </Listed>
    </Section>
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
  const revoke = useAction({ mutationFn: () => revokeSession(row.id), refreshes: [["sessions"]] });
  const about = (
    <>
      <span>{row.address}</span>
      <Since at={row.last_used_at}>last used</Since>
    </>
  );
  const name = browserName(row.user_agent) + (row.current ? " (this one)" : "");
  return (
    <Item name={<span title={row.user_agent}>{name}</span>} about={about}>
      {!row.current && (
        <Act label="End" to={`the session of ${preciseTime(row.created_at)}`} action={revoke} />
      )}
    </Item>
  );
}
