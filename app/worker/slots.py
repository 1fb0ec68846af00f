"""The slots of a worker: a run that waits for a person frees its slot for another (ADR 0033)."""

from collections.abc import Callable
from uuid import UUID


class RunSlots:
    """Counts the runs of a worker that wait for a person, of which up to `limit` take no slot.

    A run that continues never waits for a slot: meanwhile more runs work than the worker has slots, by `limit` at most,
    and it takes no new one before there are fewer again.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._waiting: set[UUID] = set()
        self._changed: Callable[[], None] | None = None

    @property
    def left(self) -> int:
        """The number of slots that are free for other runs."""
        return min(len(self._waiting), self.limit)

    def notify(self, changed: Callable[[], None]) -> None:
        """Set the function to call at each change."""
        self._changed = changed

    def leave(self, run_id: UUID) -> None:
        """Note that a run waits for a person; repeatable."""
        self._waiting.add(run_id)
        self._notify()

    def take_back(self, run_id: UUID) -> None:
        """Note that a run goes on, or is over; repeatable."""
        self._waiting.discard(run_id)
        self._notify()

    def _notify(self) -> None:
        if self._changed is not None:
            self._changed()
