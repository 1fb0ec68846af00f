"""What this process found out about lists, kept for as long as nothing changed that its caller sees (ADR 30).

Clients ask for the same filter again and again, and its exact count can cost a thousand times what the page costs. Who
asks again pays for a look at the version of what they see (`task_counts`). Of many who ask at once, one finds out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from uuid import UUID
from weakref import WeakValueDictionary

__all__ = ["ListMemory", "Remembered"]

_MOST_COUNTS = 4096
# A page holds up to a hundred ids: five megabytes in all.
_MOST_PAGES = 512

Value = TypeVar("Value")


class Remembered(Generic[Value]):
    """Values by key, each with the version at which it was found; those not asked for longest go first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[Hashable, tuple[int, Value]] = {}
        self._turns: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    async def get(
        self, key: Hashable, version: int, find_out: Callable[[], Awaitable[tuple[int, Value]]]
    ) -> Value:
        """Return the value of `key` as of `version`, or of a later one.

        Args:
            key: what is asked for, and by whom.
            version: what the caller's own look at the data said.
            find_out: returns the version of a snapshot, taken from now on, and the value in it.

        """
        known = self._find(key, version)
        if known is None:
            async with self._turns.setdefault(key, asyncio.Lock()):
                # Who waited may find what the one before them found out.
                known = self._find(key, version)
                if known is None:
                    known = await find_out()
                    self.keep(key, *known)
        return known[1]

    def last(self, key: Hashable) -> Value | None:
        """Return what was found of `key` last, of whatever version that is; None if nothing was."""
        known = self._known.get(key)
        return None if known is None else known[1]

    def keep(self, key: Hashable, version: int, value: Value) -> None:
        """Remember what was found of `key` in the snapshot of a version."""
        self._known.pop(key, None)
        self._known[key] = (version, value)
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]

    def _find(self, key: Hashable, version: int) -> tuple[int, Value] | None:
        known = self._known.get(key)
        if known is None or known[0] < version:
            return None
        # Back to the end of the order.
        self._known[key] = self._known.pop(key)
        return known


@dataclass(frozen=True, slots=True)
class ListMemory:
    """How many tasks filters leave, and which of them stand on a page."""

    counts: Remembered[int] = field(default_factory=lambda: Remembered(_MOST_COUNTS))
    pages: Remembered[Sequence[UUID]] = field(default_factory=lambda: Remembered(_MOST_PAGES))
