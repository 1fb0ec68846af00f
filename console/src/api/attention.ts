/** Devices, presence, preferences, and what was decided about each push. */
import { api, data, request } from "./client";
import type { Device, Notification, Preferences } from "./types";

export async function fetchDevices(): Promise<Device[]> {
  return data(await api.GET("/api/users/@me/push_tokens")).results;
}

export const registerDevice = (token: string) =>
  request<Device>("/api/users/@me/push_tokens/", { method: "POST", json: { token, platform: "web" } });

export const unregisterDevice = (token: string) =>
  request<void>("/api/users/@me/push_tokens/unregister/", { method: "POST", json: { token } });

export async function fetchVapidKey(): Promise<string> {
  return data(await api.GET("/api/push/vapid_public_key")).public_key;
}

export interface PresenceBeat {
  device_id: string;
  focused: boolean;
  seen_seq?: number;
}

const presencePath = (project: number, task: string) => `/api/projects/${project}/tasks/${task}/presence/`;

export const beat = (project: number, task: string, json: PresenceBeat) =>
  request<void>(presencePath(project, task), { method: "POST", json });

/** Sent while the page goes away, so it must outlive the page. */
export const leave = (project: number, task: string, device: string) =>
  request<void>(`${presencePath(project, task)}?device_id=${device}`, { method: "DELETE", keepalive: true });

const mutePath = (project: number, task: string) => `/api/projects/${project}/tasks/${task}/mute/`;

export const fetchMute = (project: number, task: string) =>
  request<{ muted: boolean }>(mutePath(project, task));

export const changeMute = (project: number, task: string, muted: boolean) =>
  request<void>(mutePath(project, task), { method: muted ? "PUT" : "DELETE" });

export async function fetchDecisions(project_id: number, task_id: string): Promise<Notification[]> {
  const answer = await api.GET("/api/projects/{project_id}/tasks/{task_id}/notifications", {
    params: { path: { project_id: String(project_id), task_id }, query: { limit: 100 } },
  });
  return data(answer).results;
}

export interface TestPush {
  decision: Notification["decision"];
  reason: string | null;
  ticket: string | null;
}

export const testPush = (project: number, task: string, device_id: string) =>
  request<TestPush>(`/api/projects/${project}/tasks/${task}/notifications/test/`, {
    method: "POST",
    json: { device_id },
  });

const PREFERENCES = "/api/users/@me/notification_preferences/";

export const fetchPreferences = () => request<Preferences>(PREFERENCES);

export const changePreferences = (json: Partial<Preferences>) =>
  request<Preferences>(PREFERENCES, { method: "PATCH", json });
