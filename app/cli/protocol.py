"""uvicorn's connections with two habits for streams: they end when the server stops, and clients that vanish are noticed.

A protocol and not a server of our own, since each process of `--workers` makes its server itself.
"""

import asyncio
import socket
from typing import ClassVar

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["StreamingProtocol"]


class StreamingProtocol(HttpToolsProtocol):
    """A connection of a client."""

    # How long what was sent may stay unacknowledged, or wait for a client that takes nothing. Streams say something
    # every 20 seconds, so a device that lost its network does not count as watching for much longer than one that
    # stopped to beat.
    unacknowledged_milliseconds: ClassVar[int] = 30_000

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn does
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self.unacknowledged_milliseconds
            )

    @override
    def shutdown(self) -> None:
        # Before the server waits for answers to end: no stream ends by itself. Its client comes back, elsewhere.
        self.app_state["hub"].end_all()
        super().shutdown()
