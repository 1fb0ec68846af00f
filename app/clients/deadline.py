"""One idea: until when something may be begun. What is under way by then is not ended by it."""

import asyncio
import math
from contextlib import suppress
from time import monotonic


class Deadline:
    """A moment that may be brought forward to now, which wakes those that sleep until then."""

    def __init__(self, seconds: float = math.inf) -> None:
        self._moment = monotonic() + seconds
        self._expired = asyncio.Event()

    @property
    def seconds_left(self) -> float:
        """The seconds until the deadline; 0 once it is past."""
        return 0.0 if self._expired.is_set() else max(0.0, self._moment - monotonic())

    @property
    def is_past(self) -> bool:
        """Whether nothing may be begun any more."""
        return self.seconds_left == 0.0

    def expire(self) -> None:
        """Have it be now."""
        self._expired.set()

    async def sleep(self, seconds: float) -> None:
        """Sleep for so long, or until it is made to expire."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                _ = await self._expired.wait()
