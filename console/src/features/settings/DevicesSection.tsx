import { useQuery, useQueryClient } from "@tanstack/react-query";
import { MonitorSmartphone, Smartphone } from "lucide-react";
import { fetchDevices, testPush } from "../../api/attention";
import { fetchTasks } from "../../api/tasks";
import type { Device } from "../../api/types";
import { Button } from "../../ui/controls";
import { Empty, Failure, Loading, say } from "../../ui/feedback";
import { PageHeading } from "../../ui/heading";
import { Age } from "../../ui/time";
import { useAction } from "../../ui/unmeant";
import { decisionText, reasonText } from "../attention/decisions";
import { disablePush, enablePush, type PushSupport, pushSupport, thisDevice } from "../attention/device";
import { useProject } from "../project/project";
import styles from "./settings.module.css";

const SUPPORT: Record<PushSupport, string> = {
  on: "This browser gets pushes.",
  off: "This browser gets no pushes.",
  denied: "You have forbidden notifications of this page. Allow them in the browser's settings for the page.",
  needs_install:
    "On an iPhone or iPad, add the console to the home screen first: Share, then Add to Home Screen.",
  unsupported: "This browser has no web push.",
};

export function DevicesSection() {
  const queries = useQueryClient();
  const devices = useQuery({ queryKey: ["devices"], queryFn: fetchDevices });
  const support = useQuery({ queryKey: ["push support"], queryFn: pushSupport });
  const refresh = () => {
    void queries.invalidateQueries({ queryKey: ["devices"] });
    void queries.invalidateQueries({ queryKey: ["push support"] });
  };
  const toggle = useAction({
    mutationFn: async () => {
      if (support.data === "on") await disablePush();
      else await enablePush();
    },
    onSettled: refresh,
  });
  const canToggle = support.data === "on" || support.data === "off";
  return (
    <section className={styles.section} aria-labelledby="devices">
      <PageHeading level="h2" id="devices">
        Devices
      </PageHeading>
      <p className={styles.lead}>
        A device rings when a run ends or an agent needs you, unless one of them shows the task.
      </p>
      <div className={styles.panel}>
        <MonitorSmartphone size={18} aria-hidden="true" />
        <p className={styles.grow}>{support.data ? SUPPORT[support.data] : "…"}</p>
        {canToggle && (
          <Button
            tone={support.data === "on" ? "danger" : "primary"}
            disabled={toggle.isPending}
            onClick={() => toggle.mutate()}
          >
            {support.data === "on" ? "Stop pushes here" : "Get pushes here"}
          </Button>
        )}
      </div>
      {devices.isPending && <Loading what="the devices" />}
      {devices.isError && <Failure error={devices.error} onRetry={() => devices.refetch()} />}
      {devices.data?.length === 0 && (
        <Empty icon={Smartphone} title="No devices">
          <p>Allow pushes in this browser, or sign in with the app on your phone.</p>
        </Empty>
      )}
      <ul className={styles.list}>
        {devices.data?.map((device) => (
          <DeviceRow key={device.id} device={device} />
        ))}
      </ul>
    </section>
  );
}

const NAMES = { ios: "iPhone or iPad", android: "Android device", web: "Browser" } as const;

function DeviceRow({ device }: { device: Device }) {
  const { project } = useProject();
  const test = useAction({
    mutationFn: async () => {
      // A test push is about a task, since pushes are: the newest one serves.
      const { results } = await fetchTasks(project.id, {}, 1, 0);
      const task = results[0];
      if (!task) throw new Error("Create a task first: a push is about a task.");
      return testPush(project.id, task.id, device.id);
    },
    onSuccess: ({ decision, reason }) =>
      say(reason ? `${decisionText(decision)}: ${reasonText(reason)}` : decisionText(decision)),
  });
  return (
    <li className={styles.item}>
      <div className={styles.grow}>
        <p className={styles.name}>
          {NAMES[device.platform]}
          {device.id === thisDevice() && " (this one)"}
        </p>
        <p className={styles.about}>
          <span>
            registered <Age at={device.created_at} inSentence />
          </span>
          <span>
            last seen <Age at={device.last_seen_at} inSentence />
          </span>
        </p>
      </div>
      <Button disabled={test.isPending} onClick={() => test.mutate()}>
        Test push<span className="visually-hidden"> to {device.id.slice(-6)}</span>
      </Button>
    </li>
  );
}
