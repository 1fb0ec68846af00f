/** Requests to the API, typed by its description; the session cookie goes along. */
import createClient from "openapi-fetch";
import { ApiError } from "./errors";
import type { paths } from "./schema";

const SIGNED_OUT = "taskbeacon:signed-out";

export const api = createClient<paths>({ baseUrl: location.origin });

async function toError(response: Response): Promise<ApiError> {
  const text = await response.text();
  let body: unknown = null;
  try {
    body = JSON.parse(text);
  } catch {
    // A proxy's page rather than the service's envelope.
  }
  const seconds = Number(response.headers.get("Retry-After"));
  const error = new ApiError(response.status, body, Number.isFinite(seconds) && seconds > 0 ? seconds : null);
  if (error.isSignedOut) window.dispatchEvent(new Event(SIGNED_OUT));
  return error;
}

api.use({
  async onResponse({ response }) {
    if (!response.ok) throw await toError(response);
  },
});

export function onSignedOut(listener: () => void): () => void {
  window.addEventListener(SIGNED_OUT, listener);
  return () => window.removeEventListener(SIGNED_OUT, listener);
}

type Init = Omit<RequestInit, "body"> & { json?: unknown };

/** Send a request that the description does not have (yet), or that answers with something else than JSON. */
export async function request<T>(path: string, { json, ...init }: Init = {}): Promise<T> {
  const headers = new Headers(init.headers);
  if (json !== undefined) headers.set("Content-Type", "application/json");
  const response = await fetch(path, { ...init, headers, body: JSON.stringify(json) });
  if (!response.ok) throw await toError(response);
  if (response.status === 204) return undefined as T;
  const isJson = response.headers.get("Content-Type")?.includes("json");
  return (isJson ? await response.json() : await response.text()) as T;
}

/** Return the data of an answer; the middleware has thrown if there is none. */
export function data<T>(answer: { data?: T }): T {
  return answer.data as T;
}
