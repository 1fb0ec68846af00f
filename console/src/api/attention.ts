/** Devices, presence, preferences, and what was decided about each push. */
import { api, data, request } from "./client";
import type { Device, Notification, Preferences, PresenceBeat } from "./types";

export const fetchDevices = async (): Promise<Device[]> =>
  data(await api.GET("/api/users/@me/push_tokens")).results;

export const registerDevice = (token: string) =>
  request<Device>("/api/users/@me/push_tokens/", { method: "POST", json: { token, platform: "web" } });

export const unregisterDevice = (token: string) =>
  request<void>("/api/users/@me/push_tokens/unregister/", { method: "POST", json: { token } });

export const removeDevice = (id: string) =>
  request<void>(`/api/users/@me/push_tokens/${id}/`, { method: "DELETE" });

export const fetchVapidKey = async (): Promise<string> =>
  data(await api.GET("/api/push/vapid_public_key")).public_key;

const taskPath = (project: number, task: string) => `/api/projects/${project}/tasks/${task}`;

export const beat = (project: number, task: string, json: PresenceBeat) =>
  request<void>(`${taskPath(project, task)}/presence/`, { method: "POST", json });

/** Sent while the page goes away, so it must outlive the page. */
export const leave = (project: number, task: string, device: string) =>
  request<void>(`${taskPath(project, task)}/presence/?device_id=${device}`, {
    method: "DELETE",
    keepalive: true,
  });

export const fetchMute = (project: number, task: string) =>
  request<{ muted: boolean }>(`${taskPath(project, task)}/mute/`);

export const changeMute = (project: number, task: string, muted: boolean) =>
  request<void>(`${taskPath(project, task)}/mute/`, { method: muted ? "PUT" : "DELETE" });

export const fetchDecisions = async (project: number, task: string) =>
  (await request<{ results: Notification[] }>(`${taskPath(project, task)}/notifications/?limit=100`)).results;

export const testPush = (project: number, task: string, device_id: string) =>
  request<Pick<Notification, "decision" | "reason">>(`${taskPath(project, task)}/notifications/test/`, {
    method: "POST",
    json: { device_id },
  });

const PREFERENCES = "/api/users/@me/notification_preferences/";

export const fetchPreferences = () => request<Preferences>(PREFERENCES);

export const changePreferences = (json: Partial<Preferences>) =>
  request<Preferences>(PREFERENCES, { method: "PATCH", json });
