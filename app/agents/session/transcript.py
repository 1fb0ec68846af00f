"""Writes an agent's updates to the log of its run (contract 13.4), and joins messages from their chunks."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic

from app.agents.session.transport import Message
from app.coroutines.periodic import wait
from app.dialogue.agent_reports import notification_entry, progress_entry
from app.ids import new_hex_id

Emit = Callable[[Message], Awaitable[None]]  # takes one log entry

_MESSAGE_CHARACTERS = 2**20
_REMEMBERED_TOOL_CALLS = 1000
# An unfinished message is stored after this silence, or after this time, so that a killed worker loses little.
_SILENCE_SECONDS = 3.0
_LONGEST_SECONDS = 30.0


class Transcript:
    """Passes an agent's updates to `emit` as log entries, and adds an entry for each complete message of the agent.

    The agent sends a message in chunks while it writes. Each chunk is an entry for followers of the live stream only;
    the entry with the text comes after its chunks, and is also stored in the run's log. If the agent falls silent in
    the middle of a message, `store_unfinished` adds the entry already; what follows is a further entry with the same
    `messageId`. Chunks without a `messageId` get one.
    """

    def __init__(self, emit: Emit, *, silence: float = _SILENCE_SECONDS) -> None:
        self._emit = emit
        self._silence = silence
        # The text of the current message that has no entry yet. `_length` counts all of the message.
        self._pieces: list[str] = []
        self._begun_at = self._grown_at = 0.0
        self._has_pieces = asyncio.Event()
        self._is_stopped = asyncio.Event()
        # Held while an update is logged, so that entries have the order of the updates.
        self._order = asyncio.Lock()
        self._length = 0
        # The message's id from the agent, if it has one, and its id in the entries.
        self._given_id: object = None
        self._message_id: object = None
        self._session_id: object = None
        self._written = ""
        self.last_message = ""
        self._tool_calls: deque[object] = deque(maxlen=_REMEMBERED_TOOL_CALLS)
        # Whether the agent repeats updates that an earlier run has logged.
        self.is_replay = False

    async def add(self, message: Message) -> None:
        """Pass an update to the run's log, after the rest of a message that it does not continue."""
        if self.is_replay:
            return
        params = message.get("params")
        update = params.get("update") if isinstance(params, dict) else None
        if not isinstance(params, dict) or not isinstance(update, dict):
            return
        async with self._order:
            await self._add(params, update)

    async def _add(self, params: Message, update: Message) -> None:
        piece = _text_of(update) if update.get("sessionUpdate") == "agent_message_chunk" else None
        if piece is None or update.get("messageId") != self._given_id:
            await self._end_message()
        if update.get("sessionUpdate") == "tool_call":
            self._tool_calls.append(update.get("toolCallId"))
        if piece is None:
            await self._emit(notification_entry("session/update", params))
            return
        if self._message_id is None:
            self._given_id = update.get("messageId")
            self._message_id = new_hex_id() if self._given_id is None else self._given_id
            self._session_id = params.get("sessionId")
        update = {**update, "messageId": self._message_id}
        await self._emit(notification_entry("session/update", {**params, "update": update}))
        self._grown_at = monotonic()
        if not self._pieces:
            self._begun_at = self._grown_at
            self._has_pieces.set()
        room = _MESSAGE_CHARACTERS - self._length
        self._pieces.append(piece[:room])
        self._length += len(piece[:room])

    async def store_unfinished(self) -> None:
        """Log the text of messages that the agent began and does not continue, until `stop`."""
        while not self._is_stopped.is_set():
            await self._has_pieces.wait()
            if await wait(self._is_stopped, max(0.0, self._due_at - monotonic())):
                return
            async with self._order:
                if self._due_at <= monotonic():
                    await self._log_pieces()

    def stop(self) -> None:
        """End `store_unfinished`, after an entry that it is logging now."""
        self._is_stopped.set()
        self._has_pieces.set()

    @property
    def _due_at(self) -> float:
        return min(self._grown_at + self._silence, self._begun_at + _LONGEST_SECONDS)

    async def note(self, message: str) -> None:
        """Log a text of the service about the agent, as a progress entry."""
        if not self.is_replay:
            await self._emit(progress_entry("agent", message))

    async def introduce(self, session_id: str, tool_call: Message) -> None:
        """Log the tool call of a permission request, unless the agent sent it before the request."""
        await self.flush()
        if tool_call.get("toolCallId") not in self._tool_calls:
            update = {"sessionUpdate": "tool_call", "title": "", **tool_call}
            await self.add({"params": {"sessionId": session_id, "update": update}})

    async def flush(self) -> None:
        """Log the text of the current message that has no entry yet, and end the message."""
        async with self._order:
            await self._end_message()

    async def _end_message(self) -> None:
        await self._log_pieces()
        self._given_id = self._message_id = None
        self._length, self._written = 0, ""

    async def _log_pieces(self) -> None:
        text, message_id = "".join(self._pieces), self._message_id
        self._pieces.clear()
        self._has_pieces.clear()
        if not text:
            return
        self._written += text
        self.last_message = self._written
        update = {
            "sessionUpdate": "agent_message",
            "content": {"type": "text", "text": text},
            "messageId": message_id,
        }
        await self._emit(
            notification_entry("session/update", {"sessionId": self._session_id, "update": update})
        )


def _text_of(update: Message) -> str | None:
    content = update.get("content")
    text = content.get("text") if isinstance(content, dict) else None
    return text if isinstance(text, str) else None
