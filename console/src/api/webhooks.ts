import { request } from "./client";
import type { WebhookEndpoint } from "./types";

export interface Delivery {
  id: string;
  event_type: string;
  task_id: string | null;
  status: "pending" | "delivered" | "failed" | "cancelled";
  created_at: string;
  next_attempt_at: string | null;
  delivered_at: string | null;
  attempts: number;
}

export interface Attempt {
  n: number;
  started_at: string;
  duration_ms: number | null;
  outcome: string;
  status_code: number | null;
  response_excerpt: string | null;
  error: string | null;
}

export interface WholeDelivery extends Omit<Delivery, "attempts"> {
  request: { headers: Record<string, string>; body: string | null };
  attempts: Attempt[];
}

const base = (project: number) => `/api/projects/${project}/webhook_endpoints/`;
const post = { method: "POST" } as const;

export const fetchEndpoints = async (project: number) =>
  (await request<{ results: WebhookEndpoint[] }>(`${base(project)}?limit=100`)).results;

export const createEndpoint = (
  project: number,
  json: { url: string; event_types: string[]; description: string },
) => request<WebhookEndpoint & { secret: string }>(base(project), { ...post, json });

export const deleteEndpoint = (project: number, id: string) =>
  request<void>(`${base(project)}${id}/`, { method: "DELETE" });

export const enableEndpoint = (project: number, id: string, enabled: boolean) =>
  enabled
    ? request<WebhookEndpoint>(`${base(project)}${id}/enable/`, post)
    : request<WebhookEndpoint>(`${base(project)}${id}/`, { method: "PATCH", json: { enabled: false } });

export const pingEndpoint = (project: number, id: string) =>
  request<{ delivery_id: string }>(`${base(project)}${id}/ping/`, post);

/** Get another secret; the one before signs beside it for a day. */
export const rotateSecret = (project: number, id: string) =>
  request<{ secret: string; old_secret_valid_until: string }>(`${base(project)}${id}/rotate_secret/`, {
    ...post,
    json: {},
  });

/** Send again what did not arrive since then; return how many messages that is. */
export const recover = (project: number, id: string, since: string) =>
  request<{ count: number }>(`${base(project)}${id}/recover/`, { ...post, json: { since, only: "all" } });

export const fetchDeliveries = async (project: number, id: string) =>
  (await request<{ results: Delivery[] }>(`${base(project)}${id}/deliveries/?limit=50`)).results;

export const fetchDelivery = (project: number, id: string, delivery: string) =>
  request<WholeDelivery>(`${base(project)}${id}/deliveries/${delivery}/`);

export const redeliver = (project: number, id: string, delivery: string) =>
  request<unknown>(`${base(project)}${id}/deliveries/${delivery}/redeliver/`, post);
