"""Authenticated callers by their keys, cached by this process for a second."""

import time
from collections.abc import Callable

from app.services.access.principal import Principal

# No entry is invalidated: a revoked key and an ended membership take effect this long after their commit.
LIFETIME_SECONDS = 1.0

_MOST = 10_000


class CallerCache:
    """Keeps authenticated callers for `lifetime` seconds, by the hash of their key or cookie, and by project."""

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
        self._known: dict[tuple[str, int | str | None], tuple[float, Principal]] = {}

    def now(self) -> float:
        """Return the time of this cache. Read it before the database is asked, and pass it to `keep`."""
        return self._clock()

    def find(self, secret_hash: str, project: int | str | None) -> Principal | None:
        known = self._known.get((secret_hash, project))
        if known is None or self._clock() - known[0] >= self._lifetime:
            return None
        return known[1]

    def keep(
        self, secret_hash: str, project: int | str | None, caller: Principal, *, asked_at: float
    ) -> None:
        if len(self._known) >= self._most:
            # All entries expire within a second: clearing costs less than tracking their order.
            self._known.clear()
        self._known[secret_hash, project] = (asked_at, caller)
