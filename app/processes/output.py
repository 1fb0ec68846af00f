"""Reads the output of programs with bounded memory."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # The runbook agent imports this module, and loading asyncio would delay every start of it.
    import asyncio

_CHUNK = 2**16
# The bytes of a UTF-8 character after its first.
_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))


async def read_bounded(
    stream: "asyncio.StreamReader | None", limit: int, on_overflow: Callable[[], None] | None = None
) -> tuple[bytes, bool]:
    """Return the first `limit` bytes and whether there were more, at which `on_overflow` is called; read to the end."""
    kept = bytearray()
    truncated = False
    while stream is not None and (chunk := await stream.read(_CHUNK)):
        room = limit - len(kept)
        kept += chunk[:room]
        if len(chunk) > room and not truncated:
            truncated = True
            if on_overflow is not None:
                on_overflow()
    return bytes(kept), truncated


class Tail:
    """Reads a stream and keeps its last `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self.is_truncated = False

    async def read(self, stream: "asyncio.StreamReader | None") -> None:
        """Read `stream` to its end, and keep its last `limit` bytes for `text`. Does nothing if `stream` is None."""
        while stream is not None and (chunk := await stream.read(_CHUNK)):
            self._kept += chunk
            self.is_truncated = self.is_truncated or len(self._kept) > self._limit
            del self._kept[: -self._limit]

    def text(self) -> str:
        """Return the kept bytes decoded as UTF-8, from the first complete character on."""
        kept = self._kept.lstrip(_CONTINUATION_BYTES) if self.is_truncated else self._kept
        return kept.decode(errors="replace")


def last_lines(text: str, count: int = 6, limit: int = 1000, *, otherwise: str = "it said nothing") -> str:
    """Return the last lines that are not empty, where most programs explain a failure; at most `limit` characters."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-count:])[-limit:] or otherwise


def quoted_end(lead: str, text: str, count: int = 6, limit: int = 1000) -> str:
    """Return the last lines below `lead`, or that there are none, which is not to be taken for what was printed."""
    lines = last_lines(text, count, limit, otherwise="")
    return f"{lead}:\n{lines}" if lines else "It printed nothing."
