"""The slots of a worker for runs: a run that waits for a person frees its slot for another (ADR 18)."""

from collections.abc import Callable
from uuid import UUID


class RunSlots:
    """Counts the runs of a worker that wait for a person: it may perform up to `limit` more runs than it has slots."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._waiting: set[UUID] = set()
        self._changed: Callable[[], None] | None = None

    @property
    def freed(self) -> int:
        """The number of slots that waiting runs have given to other runs."""
        return min(len(self._waiting), self.limit)

    def notify(self, changed: Callable[[], None]) -> None:
        """Set the one callback that is called whenever `freed` may have changed."""
        self._changed = changed

    def leave(self, run_id: UUID) -> None:
        """Record that a run waits for a person and gives up its slot. Has no effect if it waits already."""
        self._waiting.add(run_id)
        self._notify()

    def take_back(self, run_id: UUID) -> None:
        """Record that a run continues or has ended. Has no effect if it was not waiting."""
        self._waiting.discard(run_id)
        self._notify()

    def _notify(self) -> None:
        if self._changed is not None:
            self._changed()
