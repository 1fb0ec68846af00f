"""The only source of the current time: the clock of the database, which each process carries on by its monotonic one.

Processes compare instants that others wrote (leases, presence, cooldowns, schedules, the order of runs), so they must
not trust the clock of the machine that each happens to run on. `app/services/shared_clock.py` reads the database's
clock; before the first reading that of the machine stands in. Tests replace the clock.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

__all__ = ["Reading", "adopt", "machine_skew", "set_clock", "utcnow"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a clock showed at a moment of this process' monotonic clock, and how far off it may be."""

    instant: datetime
    monotonic: float
    error: timedelta = timedelta(0)

    def carried(self) -> datetime:
        """Return what that clock shows now."""
        return self.instant + timedelta(seconds=time.monotonic() - self.monotonic)


_reading: Reading | None = None


def _shared_now() -> datetime:
    return _machine_now() if _reading is None else _reading.carried()


def _machine_now() -> datetime:
    return datetime.now(UTC)


_now: Callable[[], datetime] = _shared_now


def utcnow() -> datetime:
    """Return the current instant, aware and in UTC."""
    return _now()


def adopt(reading: Reading | None) -> None:
    """Go by this reading from now on; None goes back to the machine's clock.

    One that agrees with the time of this process, as closely as it can tell, changes nothing: time must not jump back
    and forth by what a round trip takes.
    """
    global _reading  # noqa: PLW0603 - one clock per process is the point
    if (
        reading is None
        or _reading is None
        or abs(reading.carried() - _reading.carried()) > reading.error + _reading.error
    ):
        _reading = reading


def machine_skew() -> timedelta:
    """Return by how much the clock of this machine is ahead of the shared one; negative: behind."""
    return _machine_now() - _shared_now()


def set_clock(now: Callable[[], datetime] | None) -> None:
    """Replace the clock of this process; None brings the shared clock back."""
    global _now  # noqa: PLW0603 - as above
    _now = now or _shared_now
