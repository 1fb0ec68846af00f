/** Failures of the API in words for people. */

export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly extra: Record<string, unknown>;
  /** Seconds to wait before the next request, where the service says so. */
  readonly retryAfter: number | null;

  constructor(status: number, body: unknown, retryAfter: number | null = null) {
    const fields = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
    super(messageOf(status, fields));
    this.status = status;
    this.code = typeof fields.code === "string" ? fields.code : "";
    this.extra = (fields.extra ?? {}) as Record<string, unknown>;
    this.retryAfter = retryAfter;
  }

  get isSignedOut(): boolean {
    return this.status === 401 || this.code === "not_authenticated" || this.code === "authentication_failed";
  }
}

function messageOf(status: number, body: Record<string, unknown>): string {
  const error = body.error;
  const rpc =
    typeof error === "object" && error !== null ? (error as Record<string, unknown>).message : error;
  const text = [body.detail, rpc].find((part) => typeof part === "string" && part !== "");
  if (typeof text === "string") return typeof body.attr === "string" ? `${body.attr}: ${text}` : text;
  if (status === 404) return "It does not exist, or you cannot see it.";
  if (status === 502 || status === 503 || status === 504)
    return "The service is not reachable at the moment.";
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
