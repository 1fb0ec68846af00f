/** Keys of one's own. */
import { api, data, request } from "./client";
import type { ApiKey } from "./types";

const KEYS = "/api/users/@me/api_keys";

export const fetchKeys = async () => data(await api.GET(KEYS)).results;

export const createKey = (json: Pick<ApiKey, "label" | "scopes"> & { expires_in_days: number | null }) =>
  request<ApiKey & { value: string }>(`${KEYS}/`, { method: "POST", json });

export const revokeKey = (id: string) => request<void>(`${KEYS}/${id}/`, { method: "DELETE" });
