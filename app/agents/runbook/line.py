"""The agent's end of the protocol: JSON-RPC, one message a line, and as much of it as a runbook needs.

Written out here, and with threads, because every run pays for it: loading the models of the library takes longer than
most runbooks do, and so does loading asyncio. The client's end is the library's, which holds every message of this one
to the protocol (tests/agents).
"""

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO

from app.agents.runbook.turn import Turn

__all__ = [
    "INVALID_PARAMS",
    "Client",
    "Handler",
    "Line",
    "Message",
    "Refusal",
    "Work",
    "text_block",
]

# A prompt holds the description of a task, which may be as long as a request to the API.
_LONGEST_LINE = 64 * 2**20

INVALID_PARAMS = -32602
# Longer than a program is given to end.
_CLOSE_SECONDS = 3.0
_METHOD_NOT_FOUND = -32601
_INTERNAL_ERROR = -32603

Message = dict[str, Any]  # Any: JSON
# The part of an answer that takes its time.
Work = Callable[[], Message]
Handler = Callable[[Message], Message | Work | None]


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
    """The line to the client: its requests are taken in their order, and it can be asked something."""

    def __init__(self, reader: BinaryIO, writer: int) -> None:
        """Read lines from a file and write to a descriptor."""
        self._reader = reader
        self._writer = writer
        self._writing = threading.Lock()
        self._asked: dict[int, _Question] = {}
        self._working: list[threading.Thread] = []
        self._count = 0

    def serve(self, methods: Mapping[str, Handler]) -> None:
        """Answer by these methods until the client closes the line; what a handler leaves to do gets a thread."""
        while line := self._reader.readline(_LONGEST_LINE):
            message = json.loads(line)
            if "method" not in message:
                self._settle(message)
                continue
            handler = methods.get(message["method"], _refuse)
            self._answer(message, partial(handler, message.get("params") or {}))

    def close(self) -> None:
        """Wait for the work that was left to do; for a while, since who does not read any more can hold it up."""
        until = time.monotonic() + _CLOSE_SECONDS
        for thread in self._working:
            thread.join(max(0.0, until - time.monotonic()))

    def tell(self, method: str, params: Message) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def ask(self, method: str, params: Message, turn: Turn) -> Message:
        """Send a request and return its result.

        Raises:
            Refusal: the client answered with an error.
            TurnCancelled: the turn has ended meanwhile.

        """
        with self._writing:
            self._count += 1
            number = self._count
        question = self._asked[number] = _Question(turn)
        try:
            self._send({"id": number, "method": method, "params": params})
            return question.wait()
        finally:
            del self._asked[number]

    def _settle(self, message: Message) -> None:
        question = self._asked.get(message["id"])
        if question is not None:
            question.settle(message)

    def _answer(self, request: Message, find: Callable[[], Message | Work | None]) -> None:
        try:
            found = find()
            if callable(found):
                thread = threading.Thread(target=self._answer, args=(request, found), daemon=True)
                thread.start()
                self._working = [*filter(threading.Thread.is_alive, self._working), thread]
                return
            answer: Message = {"result": found}
        except Refusal as refusal:
            data = {"data": {"details": refusal.details}} if refusal.details else {}
            answer = {"error": {"code": refusal.code, "message": str(refusal), **data}}
        except Exception as error:  # noqa: BLE001 - whoever asked must be answered
            details = f"{type(error).__name__}: {error}"
            answer = {
                "error": {"code": _INTERNAL_ERROR, "message": "Internal error", "data": {"details": details}}
            }
        if "id" in request:
            # A client that is gone closes the line, which ends this.
            with suppress(ConnectionError):
                self._send({"id": request["id"], **answer})

    def _send(self, message: Message) -> None:
        rest = memoryview(json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":")).encode() + b"\n")
        with self._writing:
            while rest:
                rest = rest[os.write(self._writer, rest) :]


class _Question:
    """A request to the client, and its answer when there is one."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._answer: Message | None = None

    def settle(self, answer: Message) -> None:
        """Take the answer."""
        self._answer = answer
        self._turn.wake()

    def wait(self) -> Message:
        """Return the result. Raises Refusal or TurnCancelled."""
        self._turn.wait(lambda: self._answer is not None)
        assert self._answer is not None
        if (error := self._answer.get("error")) is not None:
            raise Refusal(error["code"], error["message"])
        result: Message = self._answer["result"]
        return result


def _refuse(_params: Message) -> Message:
    raise Refusal(_METHOD_NOT_FOUND, "Method not found")


class Client:
    """Who is told what happens in the turn of a session, and asked."""

    def __init__(self, line: Line, session_id: str, turn: Turn) -> None:
        self._line = line
        self._session_id = session_id
        self._turn = turn

    def tell(self, kind: str, /, **update: Any) -> None:
        """Send an update of the session; its fields are named as on the wire."""
        self._line.tell(
            "session/update",
            {"sessionId": self._session_id, "update": {"sessionUpdate": kind, **update}},
        )

    def choose(self, tool_call: Message, options: list[Message]) -> str | None:
        """Have one of the options chosen; return its id, None if nobody chose.

        Raises:
            Refusal: the client cannot be asked.
            TurnCancelled: the turn has ended meanwhile.

        """
        answer = self._line.ask(
            "session/request_permission",
            {"sessionId": self._session_id, "toolCall": tool_call, "options": options},
            self._turn,
        )
        outcome = answer["outcome"]
        return str(outcome["optionId"]) if outcome["outcome"] == "selected" else None
