/** Notices that this browser still shows, closed when what they report is on the screen or over. */

interface About {
  /** Of any event of this task. */
  task?: string;
  /** Of this question, with or without hyphens: events have none, tags do. */
  question?: string;
}

export async function closeNotices({ task, question }: About): Promise<void> {
  const registration = await navigator.serviceWorker?.getRegistration("/console/");
  for (const notice of (await registration?.getNotifications()) ?? []) {
    const isMeant = question
      ? notice.tag.replaceAll("-", "") === `q:${question.replaceAll("-", "")}`
      : notice.data?.taskId === task;
    if (isMeant) notice.close();
  }
}
