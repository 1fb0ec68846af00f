"""The only source of the current time; tests move it."""

from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["set_clock", "utcnow"]


def _system_now() -> datetime:
    return datetime.now(UTC)


_now: Callable[[], datetime] = _system_now


def utcnow() -> datetime:
    """Return the current instant, aware and in UTC."""
    return _now()


def set_clock(now: Callable[[], datetime] | None) -> None:
    """Replace the clock of this process; None brings the system clock back."""
    global _now  # noqa: PLW0603 - one clock per process is the point
    _now = now or _system_now
