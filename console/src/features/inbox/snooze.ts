import type { InboxRow } from "../../api/types";

export const MINUTE = 60;
export const HOUR = 3600;

/** Return how long a question can be snoozed: an hour, or whole minutes to its end. */
export function snoozeSeconds({ expires_at: end }: Pick<InboxRow, "expires_at">, now = Date.now()): number {
  const left = end ? (Date.parse(end) - now) / 1000 : HOUR;
  return left >= HOUR ? HOUR : Math.max(Math.floor(left / MINUTE) * MINUTE, 0);
}
