"""Authenticated callers by their keys, cached by this process for less than a second.

A client that polls, or an agent that writes its log, asks many times a second; the database is asked once. No entry has
to be removed: a revoked key, a closed account, other scopes and an ended membership count at the latest
`LIFETIME_SECONDS` after they were committed, in every process, whether or not Redis is there.
"""

import time
from collections.abc import Callable
from typing import Generic, TypeVar

LIFETIME_SECONDS = 1.0

_MOST = 10_000

Caller = TypeVar("Caller")


class CallerCache(Generic[Caller]):
    """Callers by the hash of their key and the project they name; unknown keys are not remembered."""

    def __init__(
        self,
        lifetime: float = LIFETIME_SECONDS,
        *,
        most: int = _MOST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lifetime = lifetime
        self._most = most
        self._clock = clock
        self._known: dict[tuple[str, int | str | None], tuple[float, Caller]] = {}

    def now(self) -> float:
        """Return the instant to give to `keep`: from before the database was asked."""
        return self._clock()

    def find(self, secret_hash: str, project: int | str | None) -> Caller | None:
        """Return the caller cached for this key and project, if it is younger than a lifetime."""
        known = self._known.get((secret_hash, project))
        if known is None or self._clock() - known[0] >= self._lifetime:
            return None
        return known[1]

    def keep(self, secret_hash: str, project: int | str | None, caller: Caller, *, asked_at: float) -> None:
        """Remember a caller whom the database was asked for at `asked_at`."""
        if len(self._known) >= self._most:
            # All of them are old within a second: starting over costs less than keeping an order.
            self._known.clear()
        self._known[secret_hash, project] = (asked_at, caller)
