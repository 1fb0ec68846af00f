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
    """The time that a clock showed at one moment; normally the database's clock.

    `instant` is that time, and `monotonic` is the value of `time.monotonic()` in this process at that moment. `error`
    is the largest possible difference between `instant` and the time that the clock really showed.
    """

    instant: datetime
    monotonic: float
    error: timedelta = timedelta(0)

    def now(self) -> datetime:
        """Return the time that the clock of this reading shows now: `instant` plus the time since the reading."""
        return self.instant + timedelta(seconds=time.monotonic() - self.monotonic)


_reading: Reading | None = None


def _shared_now() -> datetime:
    return _machine_now() if _reading is None else _reading.now()


def _machine_now() -> datetime:
    return datetime.now(UTC)


_now: Callable[[], datetime] = _shared_now


def utcnow() -> datetime:
    """Return the current time of the database's clock, which all processes share, as a timezone-aware datetime in UTC.

    Until the database's clock has been read, this machine's clock is used.
    """
    return _now()


def adopt(reading: Reading | None) -> None:
    """Make `utcnow` compute the time from this reading of the database's clock from now on.

    If `reading` is None, `utcnow` uses this machine's clock. If the two readings, this one and the one in use, differ
    by no more than the sum of their errors, change nothing, so that the time does not jump back and forth.
    """
    global _reading  # noqa: PLW0603 - one clock per process is the point
    if (
        reading is None
        or _reading is None
        or abs(reading.now() - _reading.now()) > reading.error + _reading.error
    ):
        _reading = reading


def machine_skew() -> timedelta:
    """Return the time by which this machine's clock is ahead of the database's clock; negative if it is behind.

    Until `adopt` has been given a reading of the database's clock, the result is about zero.
    """
    return _machine_now() - _shared_now()


def set_clock(now: Callable[[], datetime] | None) -> None:
    """Make `utcnow()` return the result of `now()` in this process, for tests.

    If `now` is None, use the shared clock again.
    """
    global _now  # noqa: PLW0603 - as above
    _now = now or _shared_now
