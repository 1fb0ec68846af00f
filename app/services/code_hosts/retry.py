"""Asks a code host again after a short, growing delay, or after the one that it wishes, while nothing was decided."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import structlog

from app.clients.github import GitHubUnavailable

__all__ = ["PAUSES_SECONDS", "HostPatience"]

PAUSES_SECONDS: Final = (1.0, 4.0, 15.0)
# Beyond this a host's wish is not waited for: people wait for the run.
_LONGEST_PAUSE_SECONDS = 60.0

Answer = TypeVar("Answer")

log = structlog.get_logger(__name__)


class HostPatience:
    """The delays that one piece of work may cost, for all its requests together."""

    def __init__(self, pauses: Sequence[float] = PAUSES_SECONDS) -> None:
        """Take the delays in seconds, in the order in which they are used up."""
        self._pauses = list(pauses)

    async def ask(self, request: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the answer to a request that may be made more than once.

        Raises:
            GitHubUnavailable: the delays are used up, or the host wishes for a longer one than people would wait.
            GitHubError: the host has decided.

        """
        while True:
            try:
                return await request()
            except GitHubUnavailable as error:
                if not self._pauses:
                    raise
                pause = self._pauses.pop(0)
                wish = pause if error.retry_after is None else error.retry_after
                if wish > _LONGEST_PAUSE_SECONDS:
                    raise
                log.info("code_host.retrying", reason=error.message, pause_seconds=wish)
                await asyncio.sleep(wish)
