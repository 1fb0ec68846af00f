/** Says that a person looks at a task: while the page is visible and has the focus, and not a moment longer. */
import { useEffect } from "react";
import { beat, leave } from "../../api/attention";
import { useProject } from "../common/project";
import { deviceForPresence } from "./device";

const BEAT_MS = 30_000;

const isLooking = () => document.visibilityState === "visible" && document.hasFocus();

export function usePresence(task: string): void {
  const { project } = useProject();
  useEffect(() => {
    let device: string | null = null;
    let isPresent = false;
    let isGone = false;
    const update = async () => {
      if (!isLooking()) return stop();
      device ??= await deviceForPresence().catch(() => null);
      if (!device || isGone || !isLooking()) return;
      isPresent = true;
      await beat(project.id, task, { device_id: device, focused: true }).catch(() => {});
    };
    const stop = () => {
      if (!device || !isPresent) return;
      isPresent = false;
      void leave(project.id, task, device).catch(() => {});
    };
    const onChange = () => void update();
    const timer = setInterval(onChange, BEAT_MS);
    void update();
    for (const name of ["focus", "blur"]) window.addEventListener(name, onChange);
    document.addEventListener("visibilitychange", onChange);
    window.addEventListener("pagehide", stop);
    return () => {
      isGone = true;
      clearInterval(timer);
      stop();
      for (const name of ["focus", "blur"]) window.removeEventListener(name, onChange);
      document.removeEventListener("visibilitychange", onChange);
      window.removeEventListener("pagehide", stop);
    };
  }, [project.id, task]);
}
