"""A server in front of a server, that a test can make silent, slow or absent."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

_BLOCK = 64 * 1024


class Interruptible:
    """A TCP proxy that forwards connections until it is set to hang (accept, stay silent), hold, mute or refuse."""

    def __init__(self, target: str) -> None:
        self.aim(target)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._port = 0
        self._hanging = False
        self._is_muted = False
        self._is_deaf = False
        # Whether something was lost since it was made deaf.
        self.has_lost = False
        self._held: bytes | None = None
        self._let_through = asyncio.Event()
        # Whether a client has sent what is held back.
        self.has_held = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def aim(self, target: str) -> None:
        """Forward new connections to this server."""
        parts = urlsplit(target)
        assert parts.hostname is not None
        self._target = (parts.hostname, parts.port or 80)

    async def resume(self) -> None:
        """Forward connections again, on the same port."""
        self._hanging = False
        self._is_muted = False
        self._is_deaf = False
        self._held = None
        self._let_through.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    async def hang(self) -> None:
        """Accept connections and forward nothing."""
        self._hanging = True
        await self._drop()

    def mute(self) -> None:
        """Forward requests of clients, but no responses."""
        self._is_muted = True

    def deafen(self) -> None:
        """Lose what clients send, and keep their connections."""
        self._is_deaf = True
        self.has_lost = False

    def hold(self, content: bytes) -> None:
        """Hold `content` back when a client has sent it, until `resume`, also if the client leaves meanwhile.

        The server then performs the client's request. It must be the last one on its connection.
        """
        self._held = content
        self._let_through.clear()
        self.has_held = False

    async def cut(self) -> None:
        """Break all connections; new ones are forwarded."""
        await self._drop()

    async def refuse(self) -> None:
        """Refuse all connections."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._drop()

    async def _drop(self) -> None:
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _loses(self) -> bool:
        self.has_lost |= self._is_deaf
        return self._is_deaf

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:
            # It was under way when the server closed.
            writer.close()
            return
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        # Not by the task itself: one that is cancelled before its first step runs no `finally`.
        connection.add_done_callback(lambda _: writer.close())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._hanging:
            await asyncio.Event().wait()
        behind, ahead = await asyncio.open_connection(*self._target)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forward(reader, ahead))
                group.create_task(_copy(behind, writer, lambda _: self._is_muted))
        finally:
            ahead.close()

    async def _forward(self, reader: asyncio.StreamReader, ahead: asyncio.StreamWriter) -> None:
        held: list[bytes] = []

        def is_lost(block: bytes) -> bool:
            if self._held is not None and self._held in block:
                held.append(block)
                self.has_held = True
            return bool(held) or self._loses()

        await _copy(reader, ahead, is_lost, ends=lambda: not held)
        if held:
            await self._let_through.wait()
            ahead.write(b"".join(held))


async def _copy(
    source: asyncio.StreamReader,
    sink: asyncio.StreamWriter,
    is_lost: Callable[[bytes], bool],
    *,
    ends: Callable[[], bool] = lambda: True,
) -> None:
    with suppress(ConnectionError):
        while block := await source.read(_BLOCK):
            if is_lost(block):
                continue
            sink.write(block)
            await sink.drain()
        if ends() and sink.can_write_eof():
            with suppress(OSError):
                sink.write_eof()


@asynccontextmanager
async def interruptible(target: str) -> AsyncGenerator[Interruptible, None]:
    """Yield a TCP proxy in front of the server at `target`, which forwards until a test changes that."""
    server = Interruptible(target)
    await server.resume()
    try:
        yield server
    finally:
        await server.refuse()


def behind(server: Interruptible, url: str) -> str:
    """Return the URL of a server changed so that connections go through the proxy in front of it."""
    parts = urlsplit(url)
    account, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{account}{at}{server.url.removeprefix('http://')}").geturl()
