/** Failures of the API in words for people. */
import { asObject, asText, type Json } from "../transcript/wire";

export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  /** What the service says, and of which field. */
  readonly detail: string;
  readonly attr: string;
  readonly extra: Json;
  /** Seconds to wait before the next request, where the service says so. */
  readonly retryAfter: number | null;

  constructor(status: number, body: unknown, retryAfter: number | null = null) {
    const fields = asObject(body);
    super(messageOf(status, fields));
    this.status = status;
    this.code = asText(fields.code);
    this.detail = asText(fields.detail);
    this.attr = asText(fields.attr);
    this.extra = asObject(fields.extra);
    this.retryAfter = retryAfter;
  }

  get isSignedOut(): boolean {
    return this.status === 401 || this.code === "not_authenticated" || this.code === "authentication_failed";
  }
}

function messageOf(status: number, { detail, attr, error }: Json): string {
  const text = asText(detail) || asText(error) || asText(asObject(error).message);
  if (text) return typeof attr === "string" ? `${attr}: ${text}` : text;
  if (status === 404) return "It does not exist, or you cannot see it.";
  if ([502, 503, 504].includes(status)) return "The service is not reachable at the moment.";
  return `The service answered with ${status}.`;
}

export function errorText(error: unknown): string {
  if (error instanceof ApiError) return error.message;
  if (error instanceof TypeError) return "The service is not reachable. Check your connection.";
  return error instanceof Error ? error.message : String(error);
}

/** Whether a request may succeed if it is repeated. */
export function isTransient(error: unknown): boolean {
  if (error instanceof ApiError) return error.status >= 500 || error.status === 429 || error.status === 408;
  return error instanceof TypeError;
}
