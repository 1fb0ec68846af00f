"""Decide from the results of attempts when a webhook endpoint is disabled."""

from datetime import datetime, timedelta
from typing import NamedTuple

from app.clients.webhooks.sender import AttemptResult
from app.enums import DeliveryError, DisabledReason
from app.services.retrying.policies import WEBHOOK_PROBES

# An endpoint with this many failures in a row is taken to refuse everything.
FAILING_AFTER = 4
_NO_SUCCESS_FOR = timedelta(days=5)
_BLOCKED_IN_A_ROW = 20


class Health(NamedTuple):
    """The record of a webhook endpoint's successes and failures, which decides when the endpoint is disabled.

    `last_success_at` and `last_failure_at` are never reset. The other fields are reset at each success, and when the
    endpoint is enabled. `has_exhausted` is True if a message failed in all of its attempts. `probe_at` is the time
    before which an endpoint that refuses everything gets no message; None: it gets them as they fall due.
    """

    last_success_at: datetime | None
    last_failure_at: datetime | None
    consecutive_failures: int
    failing_since: datetime | None
    has_exhausted: bool
    blocked_in_a_row: int
    probe_at: datetime | None = None

    def after(self, result: AttemptResult, *, now: datetime, exhausted: bool) -> "Health":
        """Return the health of the endpoint after one more attempt with this result, made at `now`.

        `exhausted` is True if the attempt was the last one that its message may have.
        """
        if result.error is None:
            return Health(now, self.last_failure_at, 0, None, has_exhausted=False, blocked_in_a_row=0)
        is_blocked = result.error is DeliveryError.BLOCKED_ADDRESS
        failing_since = self.failing_since or now
        is_failing = self.consecutive_failures + 1 >= FAILING_AFTER
        return self._replace(
            last_failure_at=now,
            consecutive_failures=self.consecutive_failures + 1,
            failing_since=failing_since,
            has_exhausted=self.has_exhausted or exhausted,
            blocked_in_a_row=self.blocked_in_a_row + 1 if is_blocked else 0,
            probe_at=WEBHOOK_PROBES.next_at(failing_since, now) if is_failing else None,
        )

    def reason_to_disable(self, result: AttemptResult, *, now: datetime) -> DisabledReason | None:
        """Return the reason to disable the endpoint after the attempt with this result; None if it stays enabled.

        This health must already include that attempt (`after`). There are three reasons: the receiver responded with
        410 Gone; too many attempts in a row met a forbidden address; or the endpoint has failed for five days, and at
        least one message has failed in all of its attempts.
        """
        if result.is_gone:
            return DisabledReason.GONE
        if self.blocked_in_a_row >= _BLOCKED_IN_A_ROW:
            return DisabledReason.BLOCKED_ADDRESS
        is_long = self.failing_since is not None and now - self.failing_since >= _NO_SUCCESS_FOR
        return DisabledReason.NO_SUCCESS if is_long and self.has_exhausted else None
