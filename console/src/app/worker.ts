/** Registers the service worker, and does what it says. */
import { registerAgain } from "../features/attention/device";

/** Return how to stop listening. */
export function startWorker(navigate: (address: string) => void): () => void {
  if (!("serviceWorker" in navigator)) return () => {};
  // In development there is no built worker.
  if (import.meta.env.PROD) {
    void navigator.serviceWorker.register("/console/sw.js", { scope: "/console/" }).catch(() => {});
  }
  const refresh = () => void registerAgain().catch(() => {});
  const onMessage = ({ data }: MessageEvent) => {
    if (data?.type === "subscription") refresh();
    if (data?.type === "open" && typeof data.address === "string") navigate(data.address);
  };
  // It may have changed while no page was open.
  refresh();
  navigator.serviceWorker.addEventListener("message", onMessage);
  return () => navigator.serviceWorker.removeEventListener("message", onMessage);
}
