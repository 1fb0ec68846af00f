"""The schedule of attempts after a failure (Standard Webhooks 1.0.0): ten attempts in about 75 hours."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from app.services.webhook_endpoints.matching import MOST_ATTEMPTS

# After the first failure, the second, …
DELAYS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
assert len(DELAYS) == MOST_ATTEMPTS - 1
_LONGEST = timedelta(hours=24)
_MOST_JITTER = 1.2


def next_delay(attempts_left: int, retry_after: timedelta | None = None) -> timedelta | None:
    """Return the delay after a failure; None if no attempt is left.

    Args:
        attempts_left: the number of further attempts; the schedule is counted from its end, also for a redelivery.
        retry_after: the receiver's Retry-After. The longer of the two delays is used, up to a day.

    """
    if attempts_left <= 0:
        return None
    step = DELAYS[max(0, len(DELAYS) - attempts_left)]
    # Jitter: deliveries that failed together are not repeated together.
    spread = step * random.uniform(1.0, _MOST_JITTER)  # noqa: S311 - not a secret
    return min(max(spread, retry_after or timedelta(0)), max(_LONGEST, spread))


def parse_retry_after(header: str | None, *, now: datetime) -> timedelta | None:
    """Return the delay that a `Retry-After` asks for, in seconds or as a date; None if it is neither."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=min(int(text[:9]), 10**8)), _LONGEST)
    try:
        until = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max(until - now, timedelta(0)), _LONGEST)
