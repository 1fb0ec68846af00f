/** What needs the person, over all projects. */
import { request } from "./client";
import { type RunRef, runPath } from "./commands";
import type { Answer, Answered, InboxPage, InboxRow } from "./types";

export interface InboxFilters {
  status: "open" | "all";
  project_id?: string;
}

export const fetchInbox = (filters: InboxFilters, limit = 100) =>
  request<InboxPage>(`/api/users/@me/inbox/?${new URLSearchParams({ ...filters, limit: String(limit) })}`);

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
