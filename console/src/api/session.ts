import { api, data } from "./client";
import type { SessionRow } from "./types";

const SESSION = "/api/console/session";

export const fetchSession = async () => data(await api.GET(SESSION));

export const signIn = async (credential: { api_key: string } | { code: string }) =>
  data(await api.POST(SESSION, { body: credential }));

export const signOut = async () => void (await api.DELETE(SESSION));

export const fetchSessions = async (): Promise<SessionRow[]> =>
  data(await api.GET("/api/console/sessions")).results;

export const revokeSession = async (id: string) =>
  void (await api.DELETE("/api/console/sessions/{session_id}", { params: { path: { session_id: id } } }));
