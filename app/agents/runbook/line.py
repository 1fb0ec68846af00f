"""The agent's end of the protocol: JSON-RPC, one message a line, and as much of it as a runbook needs.

Written out here because every run pays for it: loading the models of the library takes longer than most runbooks do.
The client's end is the library's, which holds every message of this one to the protocol (tests/agents).
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

__all__ = [
    "INVALID_PARAMS",
    "LINE_LIMIT",
    "Client",
    "Handler",
    "Line",
    "Message",
    "Refusal",
    "text_block",
]

# A prompt holds the description of a task, which may be as long as a request to the API.
LINE_LIMIT = 64 * 2**20

INVALID_PARAMS = -32602
_METHOD_NOT_FOUND = -32601
_INTERNAL_ERROR = -32603

Message = dict[str, Any]  # Any: JSON
Handler = Callable[[Message], Awaitable[Message | None]]


class Refusal(Exception):
    """A request that is answered with an error: a code, a message, and what there is to say about it."""

    def __init__(self, code: int, message: str, details: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.details = details


def text_block(text: str) -> Message:
    """Return a text as content."""
    return {"type": "text", "text": text}


class Line:
    """The line to the client: its requests are answered each in a task of its own, and it can be asked something."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._asked: dict[int, asyncio.Future[Message]] = {}
        self._working: set[asyncio.Task[None]] = set()
        self._count = 0

    async def serve(self, methods: Mapping[str, Handler]) -> None:
        """Answer by these methods until the client closes the line, then leave what is under way."""
        try:
            while line := await self._reader.readline():
                message = json.loads(line)
                if "method" not in message:
                    self._settle(message)
                    continue
                task = asyncio.create_task(self._handle(message, methods))
                self._working.add(task)
                task.add_done_callback(self._working.discard)
        finally:
            left = list(self._working)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def tell(self, method: str, params: Message) -> None:
        """Send a notification."""
        await self._send({"method": method, "params": params})

    async def ask(self, method: str, params: Message) -> Message:
        """Send a request and return its result.

        Raises:
            Refusal: the client answered with an error.

        """
        self._count += 1
        number = self._count
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send({"id": number, "method": method, "params": params})
            result: Message = await answer
            return result
        finally:
            del self._asked[number]

    def _settle(self, message: Message) -> None:
        answer = self._asked.get(message["id"])
        if answer is None or answer.done():
            return
        if (error := message.get("error")) is not None:
            answer.set_exception(Refusal(error["code"], error["message"]))
        else:
            answer.set_result(message["result"])

    async def _handle(self, message: Message, methods: Mapping[str, Handler]) -> None:
        try:
            handler = methods.get(message["method"], _refuse)
            answer: Message = {"result": await handler(message.get("params") or {})}
        except Refusal as refusal:
            data = {"data": {"details": refusal.details}} if refusal.details else {}
            answer = {"error": {"code": refusal.code, "message": str(refusal), **data}}
        except Exception as error:  # noqa: BLE001 - whoever asked must be answered
            details = f"{type(error).__name__}: {error}"
            answer = {
                "error": {"code": _INTERNAL_ERROR, "message": "Internal error", "data": {"details": details}}
            }
        if "id" in message:
            # A client that is gone closes the line, which ends this.
            with suppress(ConnectionError):
                await self._send({"id": message["id"], **answer})

    async def _send(self, message: Message) -> None:
        self._writer.write(json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":")).encode() + b"\n")
        await self._writer.drain()


async def _refuse(_params: Message) -> Message:
    raise Refusal(_METHOD_NOT_FOUND, "Method not found")


class Client:
    """Who is told what happens in a session, and asked."""

    def __init__(self, line: Line, session_id: str) -> None:
        self._line = line
        self._session_id = session_id

    async def tell(self, kind: str, /, **update: Any) -> None:
        """Send an update of the session; its fields are named as on the wire."""
        await self._line.tell(
            "session/update",
            {"sessionId": self._session_id, "update": {"sessionUpdate": kind, **update}},
        )

    async def choose(self, tool_call: Message, options: list[Message]) -> str | None:
        """Have one of the options chosen; return its id, None if nobody chose.

        Raises:
            Refusal: the client cannot be asked.

        """
        answer = await self._line.ask(
            "session/request_permission",
            {"sessionId": self._session_id, "toolCall": tool_call, "options": options},
        )
        outcome = answer["outcome"]
        return str(outcome["optionId"]) if outcome["outcome"] == "selected" else None
