"""Clocks that a test moves: of the service, which stands still until then, and of the event loop."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

_START = datetime(2026, 3, 1, 10, 0, 0, 123456, tzinfo=UTC)


class MovableClock:
    """A source of the current time for `app.clock.set_clock`."""

    def __init__(self) -> None:
        self.now = _START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        """Advance the clock by a duration, given as arguments of `timedelta`."""
        self.now += timedelta(**duration)


def wire_time(clock: MovableClock) -> str:
    """Return the time of a clock in the format of API responses."""
    return clock.now.isoformat().replace("+00:00", "Z")


def let_time_pass(monkeypatch: pytest.MonkeyPatch, **duration: float) -> None:
    """Move the event loop's clock on, given as arguments of `timedelta`: timeouts that end by then are over."""
    loop = asyncio.get_running_loop()
    time, seconds = loop.time, timedelta(**duration).total_seconds()
    monkeypatch.setattr(loop, "time", lambda: time() + seconds)
