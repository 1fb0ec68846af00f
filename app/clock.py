"""The only source of the current time: the clock of the database, extrapolated with the monotonic clock.

Processes compare times that others wrote (leases, presence, cooldowns, schedules, the order of runs), so they
must not use the clocks of their own machines. `app/services/shared_clock.py` reads the clock of the database;
until then the clock of the machine is used. Tests replace the clock.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading of the database's clock, or of another clock.

    `instant` is the time that the clock showed, and `monotonic` is the value of `time.monotonic()` in this process at
    that moment. `error` is the largest possible difference between `instant` and the true time of the clock then.
    """

    instant: datetime
    monotonic: float
    error: timedelta = timedelta(0)

    def now(self) -> datetime:
        """Return the time that the clock shows now: the time of the reading plus the time that has passed since."""
        return self.instant + timedelta(seconds=time.monotonic() - self.monotonic)


_reading: Reading | None = None


def _shared_now() -> datetime:
    return _machine_now() if _reading is None else _reading.now()


def _machine_now() -> datetime:
    return datetime.now(UTC)


_now: Callable[[], datetime] = _shared_now


def utcnow() -> datetime:
    """Return the current time by the clock that all processes share, as a timezone-aware datetime in UTC.

    This is the database's clock. Until it has been read, this machine's clock is used instead.
    """
    return _now()


def adopt(reading: Reading | None) -> None:
    """Compute the service's time from this reading of the database's clock from now on.

    If `reading` is None, use this machine's clock. If the reading differs from the current one by no more than the
    errors of both, change nothing: time must not jump back and forth by the duration of a round trip.
    """
    global _reading  # noqa: PLW0603 - one clock per process is the point
    if (
        reading is None
        or _reading is None
        or abs(reading.now() - _reading.now()) > reading.error + _reading.error
    ):
        _reading = reading


def machine_skew() -> timedelta:
    """Return the time by which this machine's clock is ahead of the service's clock. It is negative if it is behind."""
    return _machine_now() - _shared_now()


def set_clock(now: Callable[[], datetime] | None) -> None:
    """Make `utcnow()` return the result of `now()` in this process, for tests.

    If `now` is None, use the shared clock again.
    """
    global _now  # noqa: PLW0603 - as above
    _now = now or _shared_now
