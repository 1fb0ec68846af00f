import { request } from "./client";
import type { Session, SessionRow } from "./types";

const SESSION = "/api/console/session/";
const SESSIONS = "/api/console/sessions/";

export const fetchSession = () => request<Session>(SESSION);

export const signIn = (credential: { api_key: string } | { code: string }) =>
  request<Session>(SESSION, { method: "POST", json: credential });

export const signOut = () => request<void>(SESSION, { method: "DELETE" });

export const fetchSessions = async () => (await request<{ results: SessionRow[] }>(SESSIONS)).results;

export const revokeSession = (id: string) =>
  request<void>(`${SESSIONS}${encodeURIComponent(id)}/`, { method: "DELETE" });
