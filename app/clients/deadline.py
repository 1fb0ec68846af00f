"""A deadline after which no new step of some work may begin; a step in progress is not interrupted."""

import asyncio
import math
from time import monotonic

from app.periodic import wait


class Deadline:
    """A point in time after which no new step of some work may begin. A step in progress is not interrupted.

    The deadline is `seconds` from its creation; by default it never passes. `expire` makes it pass at once.
    """

    def __init__(self, seconds: float = math.inf) -> None:
        self._moment = monotonic() + seconds
        self._expired = asyncio.Event()

    @property
    def seconds_left(self) -> float:
        """The seconds until the deadline; 0 if it has passed."""
        return 0.0 if self._expired.is_set() else max(0.0, self._moment - monotonic())

    @property
    def is_past(self) -> bool:
        """Whether the deadline has passed, so that no new step may begin."""
        return self.seconds_left == 0.0

    def expire(self) -> None:
        """Make the deadline pass now, and wake all callers of `sleep`."""
        self._expired.set()

    async def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`, or until `expire` is called. The deadline itself does not end the sleep."""
        await wait(self._expired, seconds)
