"""The connections to an S3 bucket, opened at the first call that needs them."""

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Final, Self

from app.config import Settings

if TYPE_CHECKING:
    from app.clients.s3.clients import S3Clients

# Small calls have this time limit, so that an outage becomes an error and not a hanging request.
RESPONSE_SECONDS: Final = 5.0
STREAMS: Final = 100
# Open downloads hold a connection each; some must remain for small calls.
_CONNECTIONS = STREAMS + 50


class S3Connection:
    """The connections to an S3 bucket. An async context manager, which closes the connections when its block ends.

    The connections are opened at the first use, which also loads the S3 library.
    """

    def __init__(self, settings: Settings) -> None:
        self.bucket = settings.s3_bucket
        self._settings = settings
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._clients: S3Clients | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def clients(self) -> "S3Clients":
        """Return the S3 clients of aioboto3. The first call loads the library and opens them."""
        async with self._opening:
            if self._clients is None:
                opened = await asyncio.to_thread(_load, self._settings)
                self._clients = await self._stack.enter_async_context(opened)
        return self._clients


def _load(settings: Settings) -> AbstractAsyncContextManager["S3Clients"]:
    from app.clients.s3.clients import open_clients  # noqa: PLC0415 - see there

    return open_clients(settings, connections=_CONNECTIONS)
