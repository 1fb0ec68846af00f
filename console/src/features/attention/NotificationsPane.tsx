/** Why a device rang, or did not: each event and device with the decision, its reason and its times. */
import { useQuery } from "@tanstack/react-query";
import { BellRing, CircleAlert, CircleCheck, CircleSlash, Clock3 } from "lucide-react";
import { Link } from "wouter";
import { fetchDecisions, fetchDevices } from "../../api/attention";
import type { Notification } from "../../api/types";
import { Empty, Failure, Loading } from "../../ui/feedback";
import { Age, durationText, wholeTime } from "../../ui/time";
import { useProject } from "../common/project";
import styles from "./attention.module.css";
import { decisionText, kindText, reasonText, stepsOf, toneOf } from "./decisions";
import { thisDevice } from "./device";

const ICONS = { good: CircleCheck, waiting: Clock3, bad: CircleAlert, neutral: CircleSlash } as const;

export default function NotificationsPane({ taskId }: { taskId: string }) {
  const { project, href } = useProject();
  const decisions = useQuery({
    queryKey: ["task", taskId, "decisions"],
    queryFn: () => fetchDecisions(project.id, taskId),
    refetchInterval: 15_000,
  });
  const devices = useQuery({ queryKey: ["devices"], queryFn: fetchDevices });
  if (decisions.isPending) return <Loading what="the notifications" />;
  if (!decisions.data) return <Failure error={decisions.error} onRetry={() => decisions.refetch()} />;
  if (decisions.data.length === 0) {
    return (
      <Empty icon={BellRing} title="Nothing to notify yet">
        <p>
          When the run ends or needs you, this page says which of your devices rang, and why the others did
          not.
        </p>
      </Empty>
    );
  }
  return (
    <div className={styles.pane}>
      {devices.data?.length === 0 && (
        <p className={styles.hint}>
          You have no device. <Link href={href("/settings/devices")}>Make this browser one</Link>, and it
          rings when an agent needs you.
        </p>
      )}
      <ol className={styles.decisions}>
        {decisions.data.map((row) => (
          <DecisionRow key={row.id} row={row} />
        ))}
      </ol>
    </div>
  );
}

function DecisionRow({ row }: { row: Notification }) {
  const tone = toneOf(row.decision);
  const Icon = ICONS[tone];
  return (
    <li className={styles.decision} data-tone={tone}>
      <Icon size={16} aria-hidden="true" />
      <div>
        <p className={styles.kind}>
          {kindText(row.kind)} <Age at={row.created_at} />
        </p>
        <p>
          <strong>{decisionText(row.decision)}</strong>
          {row.reason && <>: {reasonText(row.reason)}</>}
          {row.watched_by && <> ({Math.round(row.watched_by.seconds_ago)} s before)</>}
        </p>
        <p className={styles.device}>{deviceText(row)}</p>
        <ul className={styles.steps}>
          {row.due_at && (
            <li>
              <time dateTime={row.due_at}>{wholeTime(row.due_at)}</time> decided again
            </li>
          )}
          {row.deferred_for !== null && <li>waited {durationText(row.deferred_for * 1000)}</li>}
          {stepsOf(row).map((step) => (
            <li key={`${step.text}${step.at}`}>
              <time dateTime={step.at}>{wholeTime(step.at)}</time> {step.text}
            </li>
          ))}
        </ul>
      </div>
    </li>
  );
}

function deviceText(row: Notification): string {
  if (!row.device) return "No device";
  const names = { ios: "iPhone or iPad", android: "Android device", web: "Browser" } as const;
  const name = row.platform ? names[row.platform] : "Device";
  return row.device === thisDevice() ? `${name} (this one)` : `${name} ${row.device.slice(-6)}`;
}
