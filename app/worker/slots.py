"""The slots of a worker for runs: a run that waits for a person frees its slot for another (ADR 33)."""

from collections.abc import Callable
from uuid import UUID


class RunSlots:
    """Counts the runs that wait for a person. Up to `limit` of them leave their slots to other runs.

    A run that continues never waits for a slot. So a worker may perform up to `limit` runs more than it has
    slots; it claims no new run until it has a free slot again.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._waiting: set[UUID] = set()
        self._changed: Callable[[], None] | None = None

    @property
    def freed(self) -> int:
        """The number of slots that waiting runs have freed for other runs."""
        return min(len(self._waiting), self.limit)

    def notify(self, changed: Callable[[], None]) -> None:
        """Set the function to call whenever the number of freed slots may have changed."""
        self._changed = changed

    def leave(self, run_id: UUID) -> None:
        """Record that a run waits for a person, which frees its slot. Idempotent."""
        self._waiting.add(run_id)
        self._notify()

    def take_back(self, run_id: UUID) -> None:
        """Record that a run does not wait any more: it continues, or is over. Idempotent."""
        self._waiting.discard(run_id)
        self._notify()

    def _notify(self) -> None:
        if self._changed is not None:
            self._changed()
