/** Close the notices that this browser still shows of a task or question which is on the screen or over. */
export async function closeNotices(about: { task: string } | { question: string }): Promise<void> {
  const registration = await navigator.serviceWorker?.getRegistration("/console/");
  registration?.active?.postMessage(about);
}
