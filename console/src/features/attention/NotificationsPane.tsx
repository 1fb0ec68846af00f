/** Why a device rang, or did not: each event and device with the decision, its reason and its times. */
import { useQuery } from "@tanstack/react-query";
import { BellRing, CircleAlert, CircleCheck, CircleSlash, Clock3 } from "lucide-react";
import { Link } from "wouter";
import { fetchDecisions, fetchDevices } from "../../api/attention";
import type { Notification } from "../../api/types";
import { Empty, Failure, Loading } from "../../ui/feedback";
import { Age, durationText, preciseTime, wholeTime } from "../../ui/time";
import { useProject } from "../project/project";
import { decisionText, kindText, stepsOf, toneOf, whyText } from "./decisions";
import { PLATFORMS, thisDevice } from "./device";

const ICONS = { success: CircleCheck, attention: Clock3, danger: CircleAlert, faint: CircleSlash } as const;

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
    <div className="column padded">
      {devices.data?.length === 0 && (
        <p className="card dim padded">
          You have no device. <Link href={href("/settings/devices")}>Make this browser one</Link>, and it
          rings when an agent needs you.
        </p>
      )}
      <ol className="divided">
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
  const why = whyText(row);
  // A single one is what it says above.
  const times = stepsOf(row).map((step, _, { length }) => (length > 1 ? step : { ...step, text: "" }));
  const next = /^(retrying|pending)$/.test(row.decision) ? "the next attempt" : "it is decided again";
  if (row.due_at) times.push({ text: next, at: row.due_at });
  return (
    <li className="row top spaced snug">
      <Icon size={16} className={tone} />
      <div>
        <p className="dim">
          {kindText(row.kind)} <Age at={row.created_at} inSentence />
        </p>
        <p>
          <strong className="strong">{decisionText(row.decision)}</strong>
          {why && <>: {why}</>}
          {row.watched_by &&
            /^(deferred|suppressed)$/.test(row.decision) &&
            ` (${deviceName(row.watched_by.device, null)}, ${Math.round(row.watched_by.seconds_ago)} s before)`}
        </p>
        <p className="brief dim">{[row.title, row.body].filter(Boolean).join(": ")}</p>
        <p className="small faint figures">
          {row.device && deviceName(row.device, row.platform)}
          {row.attempts > 1 && ` · tried ${row.attempts} times`}
        </p>
        <ul className="small faint figures">
          {times.map(({ text, at }) => (
            <li key={`${text}${at}`}>
              <time dateTime={at} title={wholeTime(at)}>
                {preciseTime(at)}
              </time>{" "}
              {text}
            </li>
          ))}
          {row.deferred_for !== null && <li>waited {durationText(row.deferred_for * 1000)} in all</li>}
        </ul>
      </div>
    </li>
  );
}

function deviceName(device: string, platform: Notification["platform"]): string {
  const name = platform ? PLATFORMS[platform] : "Device";
  return device === thisDevice() ? `${name} (this one)` : `${name} ${device.slice(-6)}`;
}
