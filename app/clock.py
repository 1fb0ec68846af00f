"""The only source of the current time: the clock of the database, extrapolated with the monotonic clock.

Processes compare times that others wrote, so they must not use the clocks of their own machines (ADR 45).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Reading:
    """The time `instant` that a clock showed at `monotonic`, with the largest possible `error`."""

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
    """Return the current time of the database's clock, or of this machine's until that was read; in UTC."""
    return _now()


def wire_time() -> str:
    """Return the current time in the format of the API, for JSON that is stored as it is shown."""
    return utcnow().isoformat().replace("+00:00", "Z")


def adopt(reading: Reading | None) -> None:
    """Compute `utcnow` from this reading, unless it agrees with the one in use; None: by the machine's clock."""
    global _reading  # noqa: PLW0603 - one clock per process is the point
    if (
        reading is None
        or _reading is None
        or abs(reading.now() - _reading.now()) > reading.error + _reading.error
    ):
        _reading = reading


def machine_skew() -> timedelta:
    """Return the time by which this machine's clock is ahead of the database's."""
    return _machine_now() - _shared_now()


def set_clock(now: Callable[[], datetime] | None) -> None:
    """Replace the clock of this process, for tests; None: the shared clock again."""
    global _now  # noqa: PLW0603 - one clock per process is the point
    _now = now or _shared_now
