/** The panes beside the conversation: on a phone one of them takes its place. */

import { ListChecks } from "lucide-react";
import { Suspense } from "react";
import type { RunRef } from "../../api/commands";
import type { Run, Task } from "../../api/types";
import type { Transcript } from "../../transcript/append";
import { classes } from "../../ui/classes";
import { Empty, Loading } from "../../ui/feedback";
import { later } from "../../ui/later";
import { FilesPane } from "./FilesPane";
import styles from "./run.module.css";
import { PlanList } from "./TranscriptRow";
import type { RunActions } from "./useRunActions";

const ChangesPane = later(() => import("../changes/ChangesPane"), false);
const ChecksPane = later(() => import("./ChecksPane"), false);
const NotificationsPane = later(() => import("../attention/NotificationsPane"), false);

export const PANES = [
  { name: "changes", label: "Changes" },
  { name: "plan", label: "Plan" },
  { name: "checks", label: "Checks" },
  { name: "files", label: "Files" },
  { name: "notifications", label: "Notifications" },
] as const;

export type PaneName = (typeof PANES)[number]["name"];

interface TabsProps {
  shown: PaneName | null;
  onChoose: (name: PaneName | null) => void;
  isPhone?: boolean;
}

function Tabs({ shown, onChoose, isPhone }: TabsProps) {
  return (
    <nav
      className={classes(styles.tabs, isPhone && styles.phoneTabs)}
      aria-label={isPhone ? "Panes of the run" : "Panes"}
    >
      {isPhone && (
        <button
          type="button"
          aria-current={shown === null ? "true" : undefined}
          onClick={() => onChoose(null)}
        >
          Transcript
        </button>
      )}
      {PANES.map(({ name, label }) => (
        <button
          key={name}
          type="button"
          aria-current={shown === name ? "true" : undefined}
          onClick={() => onChoose(name)}
        >
          {label}
        </button>
      ))}
    </nav>
  );
}

interface SideProps {
  shown: PaneName;
  onChoose: (name: PaneName | null) => void;
  task: Task;
  run: Run;
  runRef: RunRef;
  transcript: Transcript;
  actions: RunActions;
}

function Side({ shown, onChoose, task, run, runRef, transcript, actions }: SideProps) {
  return (
    <aside className={styles.side} aria-label={PANES.find(({ name }) => name === shown)?.label}>
      <Tabs shown={shown} onChoose={onChoose} />
      <div className={styles.pane}>
        <Suspense fallback={<Loading what="the pane" />}>
          {shown === "changes" && (
            <ChangesPane
              key={run.id}
              run={run}
              runRef={runRef}
              items={transcript.items}
              isBusy={actions.isBusy}
              onResume={(message, onStarted) => actions.resume(message, [], { onStarted })}
            />
          )}
          {shown === "plan" && <PlanPane transcript={transcript} />}
          {shown === "checks" && <ChecksPane run={run} runRef={runRef} repository={task.repository} />}
          {shown === "files" && <FilesPane run={run} runRef={runRef} />}
          {shown === "notifications" && <NotificationsPane taskId={task.id} />}
        </Suspense>
      </div>
    </aside>
  );
}

function PlanPane({ transcript }: { transcript: Transcript }) {
  const { plan } = transcript.standing;
  if (plan.length === 0) {
    return (
      <Empty icon={ListChecks} title="No plan">
        <p>When the agent writes a plan, its steps and their progress appear here.</p>
      </Empty>
    );
  }
  return (
    <div className={styles.padded}>
      <PlanList entries={plan} />
    </div>
  );
}

export const Panes = { Tabs, Side };
