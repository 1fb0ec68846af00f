/** What needs the person, over all projects. */
import { request } from "./client";
import { type RunRef, runPath } from "./commands";
import type { Answer, Answered, InboxPage, InboxRow } from "./types";

export const fetchInbox = (status: "open" | "missed" | "all") =>
  request<InboxPage>(`/api/users/@me/inbox/?status=${status}&limit=100`);

export const fetchQuestions = async (ref: RunRef): Promise<InboxRow[]> =>
  (await request<{ results: InboxRow[] }>(`${runPath(ref)}/questions/`)).results;

/** The key makes a repeated request safe: a press on a bad connection answers once. */
export const answerQuestion = (project: number, id: string, answer: Answer, key: string) =>
  request<Answered>(`/api/projects/${project}/questions/${id}/answer/`, {
    method: "POST",
    headers: { "Idempotency-Key": key },
    json: answer,
  });

export const snoozeQuestion = (project: number, id: string, seconds: number) =>
  request<unknown>(`/api/projects/${project}/questions/${id}/snooze/`, { method: "POST", json: { seconds } });
