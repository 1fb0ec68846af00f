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
    """A reading of another clock: the time that it showed, this process's monotonic time then, and the largest error.

    `monotonic` is in the seconds of `time.monotonic()`. `error` is the largest possible difference between `instant`
    and the other clock at that moment.
    """

    instant: datetime
    monotonic: float
    error: timedelta = timedelta(0)

    def now(self) -> datetime:
        """Return the current time of the clock that was read, extrapolated from the reading."""
        return self.instant + timedelta(seconds=time.monotonic() - self.monotonic)


_reading: Reading | None = None


def _shared_now() -> datetime:
    return _machine_now() if _reading is None else _reading.now()


def _machine_now() -> datetime:
    return datetime.now(UTC)


_now: Callable[[], datetime] = _shared_now


def utcnow() -> datetime:
    """Return the current time of the service's shared clock, aware and in UTC."""
    return _now()


def adopt(reading: Reading | None) -> None:
    """From now on, compute the service's time from this reading of the database's clock.

    None: from this machine's clock. A reading that differs from the current reading by no more than the errors of both
    changes nothing: time must not jump back and forth by the duration of a round trip.
    """
    global _reading  # noqa: PLW0603 - one clock per process is the point
    if (
        reading is None
        or _reading is None
        or abs(reading.now() - _reading.now()) > reading.error + _reading.error
    ):
        _reading = reading


def machine_skew() -> timedelta:
    """Return the time by which this machine's clock is ahead of the service's clock; negative if it is behind."""
    return _machine_now() - _shared_now()


def set_clock(now: Callable[[], datetime] | None) -> None:
    """Let `utcnow()` return the result of `now()` in this process, for tests; None restores the shared clock."""
    global _now  # noqa: PLW0603 - as above
    _now = now or _shared_now
