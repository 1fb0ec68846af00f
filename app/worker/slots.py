"""The slots of a worker for runs: a run that waits for a person frees its slot for another (ADR 33)."""

from collections.abc import Callable
from uuid import UUID


class RunSlots:
    """Counts the runs of a worker that wait for a person. A waiting run gives its slot to another run.

    At most `limit` runs give up their slots. A run that continues does not wait for a slot, so the worker may perform
    up to `limit` more runs than it has slots. It then starts no new run until a slot is free.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._waiting: set[UUID] = set()
        self._changed: Callable[[], None] | None = None

    @property
    def freed(self) -> int:
        """The number of slots that waiting runs have given to other runs."""
        return min(len(self._waiting), self.limit)

    def notify(self, changed: Callable[[], None]) -> None:
        """Set the callback `changed`. It is called whenever the number of freed slots may have changed.

        There is only one callback: it replaces an earlier one.
        """
        self._changed = changed

    def leave(self, run_id: UUID) -> None:
        """Record that a run waits for a person and gives up its slot. Has no effect if it waits already."""
        self._waiting.add(run_id)
        self._notify()

    def take_back(self, run_id: UUID) -> None:
        """Record that a run no longer waits for a person: it continues or has ended.

        Has no effect if it was not waiting.
        """
        self._waiting.discard(run_id)
        self._notify()

    def _notify(self) -> None:
        if self._changed is not None:
            self._changed()
