/** Keys of one's own. */
import { api, data, request } from "./client";
import type { ApiKey } from "./types";

const KEYS = "/api/users/@me/api_keys";

export const fetchKeys = async () => data(await api.GET(KEYS)).results;

interface NewKey {
  label: string;
  scopes: string[];
  expires_in_days: number | null;
}

export const createKey = (json: NewKey) =>
  request<ApiKey & { value: string }>(`${KEYS}/`, { method: "POST", json });

export const revokeKey = (id: string) => request<void>(`${KEYS}/${id}/`, { method: "DELETE" });
