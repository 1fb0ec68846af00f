"""How many runs a worker has room for: one that waits for a person leaves its place to another (ADR 0033)."""

from collections.abc import Callable
from uuid import UUID

__all__ = ["Places"]


class Places:
    """Counts the runs of a worker that wait for a person, of which up to `limit` take no place.

    Who comes back never waits for a place: meanwhile more runs work than the worker has places, by `limit` at most,
    and it takes no new one before there are fewer again.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._waiting: set[UUID] = set()
        self._changed: Callable[[], None] | None = None

    @property
    def left(self) -> int:
        """How many places others may have."""
        return min(len(self._waiting), self.limit)

    def notify(self, changed: Callable[[], None]) -> None:
        """Have this called at each change; by the one who gives places away."""
        self._changed = changed

    def leave(self, run_id: UUID) -> None:
        """Note that a run waits for a person; repeatable."""
        self._waiting.add(run_id)
        self._tell()

    def take_back(self, run_id: UUID) -> None:
        """Note that a run goes on, or is over; repeatable."""
        self._waiting.discard(run_id)
        self._tell()

    def _tell(self) -> None:
        if self._changed is not None:
            self._changed()
