"""Counts requests against budgets that all processes share, without asking Redis for each one (ADR 21).

A process tells Redis together what it counted since it last did: a few times a second, more often for small budgets,
and for each request once a budget is nearly used up. So another process knows of all but a fiftieth of a budget, and
none is overdrawn by more than that for each process.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.clients.redis import RedisClient

__all__ = ["Budget", "Budgets", "Left"]

_TELL_EVERY_SECONDS = 0.25
# Shares of a budget: what may be untold, and from where on each request asks.
_UNTOLD = 1 / 50
_NEARLY_USED = 9 / 10
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Budget:
    """So many requests in each window of so many seconds by the wall clock."""

    seconds: int
    limit: int


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a budget, and in how many seconds it begins again."""

    limit: int
    remaining: int
    reset: int


@dataclass(slots=True)
class _Window:
    number: int
    # What Redis said, and what it was not told yet.
    told: int = 0
    untold: int = 0
    told_at: float = 0.0

    def is_due(self, limit: int, now: float) -> bool:
        return (
            now - self.told_at >= _TELL_EVERY_SECONDS
            or self.untold >= limit * _UNTOLD
            or self.told + self.untold >= limit * _NEARLY_USED
        )


class Budgets:
    """What this process knows of the windows of now."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, int], _Window] = {}

    async def count(
        self, redis: RedisClient, bucket: str, budgets: Sequence[Budget], *, now: float
    ) -> int | None:
        """Count one request of a bucket; return in how many seconds there is a budget again if one is used up.

        Raises:
            RedisError, OSError: Redis does not answer; the request was not counted.

        """
        windows = [self._window(bucket, budget, now) for budget in budgets]
        for window in windows:
            window.untold += 1
        used_up = any(
            window.told > budget.limit for window, budget in zip(windows, budgets, strict=True)
        )  # for the rest of its window, whoever else counts
        if not used_up and any(
            window.is_due(budget.limit, now) for window, budget in zip(windows, budgets, strict=True)
        ):
            await _tell(redis, bucket, budgets, windows, now)
        for window, budget in zip(windows, budgets, strict=True):
            if window.told + window.untold > budget.limit:
                return budget.seconds - int(now) % budget.seconds
        return None

    def left(self, bucket: str, budgets: Sequence[Budget], *, now: float) -> Left:
        """Return what this process believes to be left of the budget that ends first, of at least one."""
        every = (
            Left(
                budget.limit,
                max(0, budget.limit - window.told - window.untold),
                budget.seconds - int(now) % budget.seconds,
            )
            for budget in budgets
            for window in (self._window(bucket, budget, now),)
        )
        return min(every, key=lambda left: (left.remaining, -left.reset))

    def _window(self, bucket: str, budget: Budget, now: float) -> _Window:
        number = int(now) // budget.seconds
        window = self._windows.get((bucket, budget.seconds))
        if window is None or window.number != number:
            if len(self._windows) >= _MOST:
                # Nothing is lost but what a quarter of a second counted.
                self._windows.clear()
            window = self._windows[bucket, budget.seconds] = _Window(number)
        return window


async def _tell(
    redis: RedisClient, bucket: str, budgets: Sequence[Budget], windows: Sequence[_Window], now: float
) -> None:
    """Add to Redis what it was not told, in one round trip, and learn what all processes counted."""
    async with redis.pipeline(transaction=False) as pipeline:
        for budget, window in zip(budgets, windows, strict=True):
            key = f"throttle:{bucket}:{budget.seconds}:{window.number}"
            pipeline.incrby(key, window.untold)
            pipeline.expire(key, budget.seconds, nx=True)
            # Requests that come while Redis is asked are the next one's to tell.
            window.untold = 0
            window.told_at = now
        counts = (await pipeline.execute())[::2]
    for window, count in zip(windows, counts, strict=True):
        window.told = max(window.told, count)
