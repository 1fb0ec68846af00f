/** The panes beside the conversation: on a phone one of them takes its place. */
import { classes } from "../../ui/classes";
import { Button } from "../../ui/controls";
import { inWords } from "../../ui/counts";
import { later } from "../../ui/later";
import { StateIcon } from "../../ui/status";
import { nameOf, useProject } from "../project/project";
import { isOver, runName, stateOf } from "../project/runState";
import type { ConversationProps } from "./Conversation";
import { FilesPane } from "./FilesPane";
import { messagesWith, wayOf } from "./outbox";
import { PlanList } from "./PlanList";
import styles from "./run.module.css";

const ChangesPane = later(() => import("../changes/ChangesPane"), false);
const ChecksPane = later(() => import("./ChecksPane"), false);
const NotificationsPane = later(() => import("../attention/NotificationsPane"), false);

export const PANES = ["changes", "plan", "checks", "files", "notifications"] as const;

export type PaneName = (typeof PANES)[number];

interface TabsProps {
  shown: PaneName | null;
  onChoose: (name: PaneName | null) => void;
  /** How many files have changed, in words; empty: none. */
  files: string;
  isRefuted: boolean;
  /** Whether the panes and the transcript take turns. */
  isWhole?: boolean;
}

const showTab = (tab: HTMLElement | null) => tab?.scrollIntoView?.({ block: "nearest", inline: "center" });

export function Tabs({ shown, onChoose, files, isRefuted, isWhole }: TabsProps) {
  return (
    <nav className={classes("row tight fixed scrolled anchor", styles.tabs)} aria-label="Panes of the run">
      {[...(isWhole ? [null] : []), ...PANES].map((name) => (
        <button
          key={name}
          type="button"
          className="row tight line small strong dim"
          ref={shown === name ? showTab : undefined}
          aria-current={shown === name ? "true" : undefined}
          onClick={() => onChoose(name)}
        >
          {inWords(name ?? "transcript")}
          {/* The pane itself counts those that it shows, which may be those of the whole branch. */}
          {name === "changes" && files && shown !== name && <span className="faint figures"> {files}</span>}
          {name === "checks" && isRefuted && <StateIcon state="refuted" size={14} />}
        </button>
      ))}
    </nav>
  );
}

type OfRun = "task" | "run" | "runs" | "runRef" | "transcript" | "actions" | "outbox";

interface SideProps extends Pick<ConversationProps, OfRun>, Pick<TabsProps, "onChoose" | "files"> {
  shown: PaneName;
  /** Whether the pane takes the whole width, and how to change that; null where it always does. */
  full: [isFull: boolean, setFull: (isFull: boolean) => void] | null;
  isLogRead: boolean;
  /** Whether a question waits that the pane hides. */
  isAsked: boolean | undefined;
}

export function Side(props: SideProps) {
  const { shown, onChoose, files, full, task, run, runs, runRef } = props;
  const { transcript, actions, outbox, isLogRead, isAsked } = props;
  const { isOffline } = useProject();
  return (
    <aside className={classes("fill", styles.side)} aria-label={inWords(shown)}>
      {full && !full[0] && <Tabs {...{ shown, onChoose, files }} isRefuted={stateOf(run) === "refuted"} />}
      {isAsked && (
        <p className={classes("attention", styles.boundary)} role="status">
          The agent asks you. <Button onClick={() => onChoose(null)}>Show the question</Button>
        </p>
      )}
      <div className={classes("fill scrolls", styles.pane)}>
        {shown === "changes" && (
          <ChangesPane
            {...{ run, runRef, isOffline }}
            key={run.id}
            tree={transcript.standing.changes?.tree ?? null}
            isFull={full?.[0] ?? false}
            onFull={full?.[1]}
            isBusy={actions.isBusy}
            onConversation={full && !full[0] ? undefined : () => onChoose(null)}
            sentText={({ from, isOlder, ...comment }) => {
              const where = from && (runName(runs, from.run) ?? "an earlier run");
              if (from) return isOlder ? `Sent by ${nameOf(from.by)} in ${where}` : "Asked of this run";
              const started = /^run:(.+)/.exec(comment.message_id ?? "")?.[1];
              if (started) return `Sent · ${runName(runs, started) ?? "A later run"}`;
              const ways = messagesWith(comment, outbox.list).map((id) =>
                wayOf(id, outbox.list, transcript, isLogRead && isOver(run)),
              );
              if (ways.includes("read")) return "Read by the agent";
              return ways.includes("away") ? "On its way to the agent" : "";
            }}
            onSend={(text, comments) =>
              outbox.send({ text, comments, files: [], artifactIds: [], isKept: false })
            }
            onResume={(message, onStarted) => actions.resume(message, [], { onStarted })}
          />
        )}
        {shown === "plan" && (
          <div className={classes("scrolls", styles.draft)}>
            <PlanList entries={transcript.standing.plan} />
          </div>
        )}
        {shown === "checks" && <ChecksPane {...{ task, run, runRef }} />}
        {shown === "files" && <FilesPane run={run} runRef={runRef} />}
        {shown === "notifications" && <NotificationsPane taskId={task.id} />}
      </div>
    </aside>
  );
}
