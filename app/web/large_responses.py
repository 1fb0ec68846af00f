"""Send large responses in pieces, as fast as clients read, and a limited number at a time.

A response that waits for a slow client takes memory of this process. Small responses fit the buffer of their
socket.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect
from starlette.types import Message, Send

from app.api_limits import (
    LARGE_RESPONSE_WAIT_SECONDS,
    LARGE_RESPONSES,
    RESPONSE_BYTES_AT_ONCE,
    RESPONSE_BYTES_PER_SECOND,
    RESPONSE_SECONDS,
)
from app.errors import Unavailable


class LargeResponses:
    """Sends the JSON responses of a process that are larger than 1 MiB, at most `slots` of them at the same time.

    Further responses wait until one has been sent, up to `wait_seconds`. After that, the response to a read is refused
    with 503, and any other response is sent.
    """

    def __init__(
        self, *, slots: int = LARGE_RESPONSES, wait_seconds: float = LARGE_RESPONSE_WAIT_SECONDS
    ) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._wait_seconds = wait_seconds

    async def send(self, start: Message, body: bytes, send: Send, *, may_refuse: bool) -> None:
        """Send a large response. If too many are being sent, wait first, then send it, or with `may_refuse` refuse it.

        A response that reports a change must not be refused.
        """
        async with self._slot(may_refuse=may_refuse):
            try:
                async with asyncio.timeout(RESPONSE_SECONDS + len(body) / RESPONSE_BYTES_PER_SECOND):
                    await _send_in_pieces(start, body, send)
            except TimeoutError:
                raise ClientDisconnect from None

    @asynccontextmanager
    async def _slot(self, *, may_refuse: bool) -> AsyncGenerator[None, None]:
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._slots.acquire()
        except TimeoutError:
            if may_refuse:
                raise Unavailable(
                    "Too many large answers are being sent. Please try again in a moment."
                ) from None
            yield
            return
        try:
            yield
        finally:
            self._slots.release()


async def _send_in_pieces(start: Message, body: bytes, send: Send) -> None:
    await send(start)
    for begin in range(0, len(body), RESPONSE_BYTES_AT_ONCE):
        end = begin + RESPONSE_BYTES_AT_ONCE
        # The server waits here until the client has read most of the earlier pieces.
        await send({"type": "http.response.body", "body": body[begin:end], "more_body": end < len(body)})
