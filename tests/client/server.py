"""A server that answers by a script, on a real socket, also with what no server should send."""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

PROJECT = "/api/projects/@current"


@dataclass(frozen=True)
class Reply:
    """An answer. `pieces` are sent as chunks; with `cut` the connection breaks behind the last one."""

    status: int = 200
    body: bytes = b""
    pieces: tuple[bytes, ...] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


# A reply that depends on its request.
Answering = Callable[[Received], Reply]


def answer(content: Any, status: int = 200, **headers: str) -> Reply:
    return Reply(
        status, json.dumps(content).encode(), headers={"Content-Type": "application/json", **headers}
    )


def failure(status: int, code: str, **more: Any) -> Reply:
    """Return an error in the envelope; headers are by their names, with `_` for the hyphen."""
    headers = {name.replace("_", "-"): str(more.pop(name)) for name in ("Retry_After",) if name in more}
    content = {"type": "invalid_request", "code": code, "detail": f"It is {code}.", "attr": None, **more}
    return answer(content, status, **{"X-Request-Id": "r-1", **headers})


def frame(content: Any, *, id_: str | None = None, name: str | None = None) -> bytes:
    lines = [f"id: {id_}"] * (id_ is not None) + [f"event: {name}"] * (name is not None)
    return "\n".join([*lines, f"data: {json.dumps(content)}", "", ""]).encode()


def stream(*frames: bytes, cut: bool = False) -> Reply:
    return Reply(pieces=frames, headers={"Content-Type": "text/event-stream"}, cut=cut)


class Server:
    """Answers each request by the next reply for its method and path; the last one is given again."""

    def __init__(self) -> None:
        self.url = ""
        self.received: list[Received] = []
        self._replies: dict[str, deque[Reply | Answering]] = defaultdict(deque)
        # Given to every request.
        self.always: Reply | None = None
        # Given to those that have no reply of their own.
        self.otherwise = failure(404, "not_found")

    def on(self, request: str, *replies: Reply | Answering) -> None:
        self._replies[request].extend(replies)

    def reset(self, request: str | None = None, *replies: Reply | Answering) -> None:
        """Forget the replies to a request, or all, and give others."""
        if request is None:
            self._replies.clear()
        else:
            self._replies[request] = deque(replies)

    def at(self, request: str) -> list[Received]:
        return [each for each in self.received if f"{each.method} {each.path}" == request]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._answer_one(reader, writer):
                    pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        parts = urlsplit(target)
        self.received.append(Received(method, parts.path, dict(parse_qsl(parts.query)), headers, body))
        replies = self._replies.get(f"{method} {parts.path}")
        if self.always is not None:
            reply = self.always
        elif not replies:
            reply = self.otherwise
        else:
            found = replies.popleft() if len(replies) > 1 else replies[0]
            reply = found if isinstance(found, Reply) else found(self.received[-1])
        await self._send(writer, reply)
        return not reply.cut

    async def _send(self, writer: asyncio.StreamWriter, reply: Reply) -> None:
        headers = dict(reply.headers)
        if reply.pieces is None:
            headers["Content-Length"] = str(len(reply.body) + reply.cut)
        else:
            headers["Transfer-Encoding"] = "chunked"
        lines = [f"HTTP/1.1 {reply.status} Scripted", *(f"{name}: {text}" for name, text in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode() + reply.body)
        for piece in reply.pieces or ():
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        if reply.pieces is not None and not reply.cut:
            writer.write(b"0\r\n\r\n")
        await writer.drain()


@asynccontextmanager
async def serving() -> AsyncGenerator[Server, None]:
    server = Server()
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await server.serve(reader, writer)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    server.url = f"http://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
