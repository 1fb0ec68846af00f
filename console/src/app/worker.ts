/** Registers the service worker, and goes where it says. */
import { keepRegistered } from "../features/attention/device";

/** Return how to stop listening. */
export function startWorker(navigate: (address: string) => void): () => void {
  if (!("serviceWorker" in navigator)) return () => {};
  // In development there is no built worker.
  if (import.meta.env.PROD) {
    void navigator.serviceWorker.register("/console/sw.js", { scope: "/console/" }).catch(() => {});
  }
  const onMessage = (event: MessageEvent) => {
    if (event.data?.type === "open" && typeof event.data.address === "string") navigate(event.data.address);
  };
  navigator.serviceWorker.addEventListener("message", onMessage);
  const stop = keepRegistered();
  return () => {
    navigator.serviceWorker.removeEventListener("message", onMessage);
    stop();
  };
}
