/** Webhook endpoints and what was sent to them. */
import { request } from "./client";
import type { Delivery, NewEndpoint, Rotated, WebhookEndpoint, WholeDelivery } from "./types";

const base = (project: number) => `/api/projects/${project}/webhook_endpoints/`;
const post = { method: "POST" } as const;

export const fetchEndpoints = async (project: number) =>
  (await request<{ results: WebhookEndpoint[] }>(`${base(project)}?limit=100`)).results;

export const createEndpoint = (project: number, json: { url: string; event_types: string[] }) =>
  request<NewEndpoint>(base(project), { ...post, json });

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
  request<Rotated>(`${base(project)}${id}/rotate_secret/`, { ...post, json: {} });

/** Send again what did not arrive since then; return how many messages that is. */
export const recover = (project: number, id: string, since: string) =>
  request<{ count: number }>(`${base(project)}${id}/recover/`, { ...post, json: { since, only: "all" } });

export const fetchDeliveries = async (project: number, id: string) =>
  (await request<{ results: Delivery[] }>(`${base(project)}${id}/deliveries/?limit=50`)).results;

export const fetchDelivery = (project: number, id: string, delivery: string) =>
  request<WholeDelivery>(`${base(project)}${id}/deliveries/${delivery}/`);

export const redeliver = (project: number, id: string, delivery: string) =>
  request<unknown>(`${base(project)}${id}/deliveries/${delivery}/redeliver/`, post);
