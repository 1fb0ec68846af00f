import { useQuery } from "@tanstack/react-query";
import { MonitorSmartphone, Smartphone } from "lucide-react";
import { fetchDevices, removeDevice, testPush } from "../../api/attention";
import { fetchTasks } from "../../api/tasks";
import type { Device } from "../../api/types";
import { Button } from "../../ui/controls";
import { Empty, say } from "../../ui/feedback";
import { Since } from "../../ui/time";
import { useAction } from "../../ui/unmeant";
import { decisionText, reasonText } from "../attention/decisions";
import * as browser from "../attention/device";
import { useProject } from "../project/project";
import { Act, Item, Listed, Section } from "./parts";
import styles from "./settings.module.css";

const SUPPORT: Record<browser.PushSupport, string> = {
  on: "This browser gets pushes.",
  off: "This browser gets no pushes.",
  denied: "You have forbidden notifications of this page. Allow them in the browser's settings for the page.",
  needs_install:
    "On an iPhone or iPad, add the console to the home screen first: Share, then Add to Home Screen.",
  unsupported: "This browser has no web push.",
};

export function DevicesSection() {
  const devices = useQuery({ queryKey: ["devices"], queryFn: fetchDevices });
  const support = useQuery({ queryKey: ["push support"], queryFn: browser.pushSupport });
  // It may have been removed from elsewhere.
  const isGone = support.data === "on" && devices.data?.every(({ id }) => id !== browser.thisDevice());
  const state = isGone ? "off" : support.data;
  const toggle = useAction({
    mutationFn: async () => void (await (state === "on" ? browser.disablePush() : browser.enablePush())),
    refreshes: [["devices"], ["push support"]],
  });
  const empty = (
    <Empty icon={Smartphone} title="No devices">
      <p>Allow pushes in this browser, or sign in with the app on your phone.</p>
    </Empty>
  );
  return (
    <Section
      name="devices"
      lead="A device rings when a run ends or an agent needs you, unless one of them shows the task."
    >
      <div className="row wrap spaced card padded">
        <MonitorSmartphone size={18} />
        <p className={styles.said}>{state ? SUPPORT[state] : "…"}</p>
        {(state === "on" || state === "off") && (
          <Button
            tone={state === "on" ? "danger" : "primary"}
            disabled={toggle.isPending}
            onClick={() => toggle.mutate()}
          >
            {state === "on" ? "Stop pushes here" : "Get pushes here"}
          </Button>
        )}
      </div>
      <Listed of={devices} what="the devices" empty={empty}>
        {(device) => <DeviceRow key={device.id} device={device} />}
      </Listed>
    </Section>
  );
}

function DeviceRow({ device }: { device: Device }) {
  const { project } = useProject();
  const test = useAction({
    mutationFn: async () => {
      // A test push is about a task, since pushes are: the newest one serves.
      const [task] = (await fetchTasks(project.id, {}, 1, 0)).results;
      if (!task) throw new Error("Create a task first: a push is about a task.");
      return testPush(project.id, task.id, device.id);
    },
    onSuccess: ({ decision, reason }) =>
      say(reason ? `${decisionText(decision)}: ${reasonText(reason)}` : decisionText(decision)),
  });
  const remove = useAction({ mutationFn: () => removeDevice(device.id), refreshes: [["devices"]] });
  const isThis = device.id === browser.thisDevice();
  const short = device.id.slice(-6);
  const about = (
    <>
      <Since at={device.created_at}>registered</Since>
      <Since at={device.last_seen_at}>last seen</Since>
    </>
  );
  const name = browser.PLATFORMS[device.platform] + (isThis ? " (this one)" : "");
  return (
    <Item name={name} about={about}>
      <Act label="Test push" to={`to ${short}`} action={test} />
      {/* Pushes here are stopped above. */}
      {!isThis && <Act label="Remove" to={short} action={remove} sure="Really remove" />}
    </Item>
  );
}
