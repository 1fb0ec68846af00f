"""`python -m bench.consoles.streams PORT PROJECT COUNT`: open consoles, each a session and a stream.

The key is a line on standard input. Prints a line when all streams are open; reads what arrives until
standard input ends.
"""

import asyncio
import re
import sys
from typing import Final

import orjson
import uvloop

_TOPICS: Final = "tasks,inbox"
_READ_BYTES: Final = 2**16


async def _sign_in(port: int, api_key: str) -> str:
    """Return the cookie of a session."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = orjson.dumps({"api_key": api_key})
    writer.write(
        b"POST /api/console/session/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    writer.close()
    found = re.search(r"^set-cookie: ([^;]+)", head, re.MULTILINE | re.IGNORECASE)
    if found is None:
        raise RuntimeError(f"signing in was answered {head}")
    return found[1]


_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _open(port: int, project: str, cookie: str) -> _Stream:
    """Open the stream of a console, and return it after its head; it closes when its writer is collected."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    path = f"/api/projects/{project}/events/stream/?topics={_TOPICS}"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head:
        raise RuntimeError(f"{path} was answered {head!r}")
    return reader, writer


async def _discard(reader: asyncio.StreamReader) -> None:
    while await reader.read(_READ_BYTES):
        pass


async def _main(port: int, project: str, count: int) -> None:
    cookie = await _sign_in(port, sys.stdin.readline().strip())
    streams = await asyncio.gather(*(_open(port, project, cookie) for _ in range(count)))
    sys.stdout.write("open\n")
    sys.stdout.flush()
    discarding = [asyncio.create_task(_discard(reader)) for reader, _ in streams]
    await asyncio.to_thread(sys.stdin.read)
    if ended := sum(task.done() for task in discarding):
        raise RuntimeError(f"{ended} streams have ended")


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
