"""Writes an agent's updates to the log of its run (contract 13.4), and joins messages from their chunks."""

from collections import deque
from collections.abc import Awaitable, Callable

from app.agents.session.transport import Message
from app.clock import utcnow

Emit = Callable[[Message], Awaitable[None]]  # takes one log entry

_MESSAGE_CHARACTERS = 2**20
_REMEMBERED_TOOL_CALLS = 1000


def notification_entry(method: str, params: Message) -> Message:
    """Return a log entry that contains a JSON-RPC notification and the current time (contract 13.4)."""
    return {
        "type": "notification",
        "timestamp": utcnow().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "notification": {"jsonrpc": "2.0", "method": method, "params": params},
    }


class Transcript:
    """Passes an agent's updates to `emit` as log entries, and adds an entry for each complete message of the agent.

    The agent sends a message in chunks while it writes. Each chunk is an entry for followers of the live stream only;
    the entry with the complete message comes after its chunks, and is also stored in the run's log.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._pieces: list[str] = []
        self._length = 0
        self._message_id: object = None
        self._session_id: object = None
        self.last_message = ""
        self._tool_calls: deque[object] = deque(maxlen=_REMEMBERED_TOOL_CALLS)
        # Whether the agent repeats updates that an earlier run has logged.
        self.is_replay = False

    async def add(self, message: Message) -> None:
        """Pass an update of the agent to the run's log.

        If the update does not continue the current message, first log that message as a whole.
        """
        if self.is_replay:
            return
        params = message.get("params")
        update = params.get("update") if isinstance(params, dict) else None
        if not isinstance(params, dict) or not isinstance(update, dict):
            return
        piece = _text_of(update) if update.get("sessionUpdate") == "agent_message_chunk" else None
        if piece is None or update.get("messageId") != self._message_id:
            await self.flush()
        if update.get("sessionUpdate") == "tool_call":
            self._tool_calls.append(update.get("toolCallId"))
        await self._emit(notification_entry("session/update", params))
        if piece is not None:
            self._message_id = update.get("messageId")
            self._session_id = params.get("sessionId")
            room = _MESSAGE_CHARACTERS - self._length
            self._pieces.append(piece[:room])
            self._length += len(piece[:room])

    async def note(self, message: str) -> None:
        """Log a text of the service about the agent, as a progress entry."""
        if not self.is_replay:
            await self._emit(
                notification_entry("_taskbeacon/progress", {"step": "agent", "message": message})
            )

    async def introduce(self, session_id: str, tool_call: Message) -> None:
        """Log the tool call of a permission request, unless the agent sent it before the request."""
        await self.flush()
        if tool_call.get("toolCallId") not in self._tool_calls:
            update = {"sessionUpdate": "tool_call", "title": "", **tool_call}
            await self.add({"params": {"sessionId": session_id, "update": update}})

    async def flush(self) -> None:
        """Log the whole current message, joined from its chunks, as one entry. Does nothing if there are no chunks."""
        text = "".join(self._pieces)
        self._pieces.clear()
        self._length = 0
        if not text:
            return
        self.last_message = text
        update: Message = {"sessionUpdate": "agent_message", "content": {"type": "text", "text": text}}
        if self._message_id is not None:
            update["messageId"] = self._message_id
        await self._emit(
            notification_entry("session/update", {"sessionId": self._session_id, "update": update})
        )


def _text_of(update: Message) -> str | None:
    content = update.get("content")
    text = content.get("text") if isinstance(content, dict) else None
    return text if isinstance(text, str) else None
