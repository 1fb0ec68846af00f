"""The agent's end of the line, as the protocol library sees it: one JSON message a line, with bounds.

Session updates are taken off the line here, in order and as the agent wrote them, before the library can parse
them: fields that a newer agent sends reach the log unchanged, and an agent that talks faster than the log is
written has to wait (the library itself would pile up a task per message).
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from app.unicode import storable

__all__ = ["LINE_LIMIT", "BrokenWire", "Message", "Wire"]

LINE_LIMIT = 16 * 2**20
_UPDATE = "session/update"
# What is told to people, and so is stored; files and commands are the agent's own and stay as they are.
_TOLD = frozenset({_UPDATE, "session/request_permission"})
_LOGGER = structlog.get_logger(__name__)

Message = dict[str, Any]  # Any: JSON


class BrokenWire(Exception):
    """The agent sent something that cannot be a message."""


class Wire:
    """A transport for acp's connections over a process's pipes."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_update: Callable[[Message], Awaitable[None]],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._on_update = on_update
        self._writing = asyncio.Lock()
        self.failure: Exception | None = None  # why the line was given up, if the agent did not just close it

    async def send(self, message: Message) -> None:
        """Write one message; waits for the agent to read. Raises ConnectionError when it is gone."""
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        async with self._writing:
            if self._writer.is_closing():
                raise ConnectionResetError("the agent takes no more messages")
            self._writer.write(line)
            await self._writer.drain()

    async def receive(self) -> Message | None:
        """Return the next message that is not an update; None when there will be no more."""
        try:
            while (line := await self._line()) is not None:
                message = _parse(line)
                if message is None:
                    continue
                if message.get("method") != _UPDATE:
                    return message
                await self._on_update(message)
        except Exception as error:  # noqa: BLE001 - whoever waits for an answer is told, see AgentSession
            self.failure = error
        return None

    async def close(self) -> None:
        """Close the agent's standard input, which asks it to end."""
        self._writer.close()

    async def _line(self) -> bytes | None:
        try:
            return await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            return None
        except asyncio.LimitOverrunError:
            raise BrokenWire(f"it sent a line of more than {LINE_LIMIT // 2**20} MiB") from None


def _parse(line: bytes) -> Message | None:
    """Return the message of a line; None for what is not one (some agents print greetings)."""
    try:
        message = json.loads(line)
        if b"\\u" in line and isinstance(message, dict) and message.get("method") in _TOLD:
            message = storable(message)
    except (ValueError, RecursionError):
        message = None
    if isinstance(message, dict):
        return message
    if line.strip():
        _LOGGER.info("agent.noise", line=line[:200].decode(errors="replace"))
    return None
