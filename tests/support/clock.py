"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

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
