"""The runbook agent's JSON-RPC connection to its client, one message a line.

Every run starts this agent: loading the protocol's library takes 0.6 to 0.9 s, the whole agent 0.06 to 0.1 s. So it
uses threads too, and not asyncio.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from typing import BinaryIO

from app.json_types import JsonDict

INVALID_PARAMS = -32602
_METHOD_NOT_FOUND = -32601
_INTERNAL_ERROR = -32603
# A prompt contains the description of a task, which may be as long as a request to the API.
_LONGEST_LINE = 64 * 2**20
# Longer than the grace that a cancelled program has to end.
_CLOSE_SECONDS = 3.0

Message = JsonDict
Work = Callable[[], Message]  # computes an answer in its own thread
Handler = Callable[[Message], Message | Work | None]


class RpcFailed(Exception):
    """An error response of JSON-RPC: a code, a message, and details."""

    def __init__(self, code: int, message: str, details: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.details = details


class TurnCancelled(Exception):
    """The client of the runbook agent has cancelled the agent's turn."""


class Turn:
    """One turn of the runbook agent, in its own thread; the client can cancel it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_cancelled = False

    def cancel(self) -> None:
        """Cancel the turn: from now on `wait`, also one in progress, and `check` raise TurnCancelled."""
        self._is_cancelled = True
        self.wake()

    def wake(self) -> None:
        """Make a thread that is in `wait` evaluate its condition again."""
        with self._changed:
            self._changed.notify()

    def wait(self, is_done: Callable[[], bool]) -> None:
        """Wait until `is_done`, asked at each `wake`. Raises TurnCancelled."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_cancelled or is_done())
        self.check()

    def check(self) -> None:
        if self._is_cancelled:
            raise TurnCancelled


class Connection:
    """The agent's JSON-RPC connection to its client: answers the client's requests, and sends its own requests."""

    def __init__(self, reader: BinaryIO, writer: int) -> None:
        self._reader = reader
        self._writer = writer
        self._writing = threading.Lock()
        self._ids = count(1)
        self._waiting: dict[int, Turn] = {}
        self._answers: dict[int, Message] = {}
        self._threads: list[threading.Thread] = []

    def serve(self, methods: Mapping[str, Handler]) -> None:
        """Call the handler of each message, in order, to the end; a handler may return a function for a new thread."""
        while line := self._reader.readline(_LONGEST_LINE):
            message = json.loads(line)
            if "method" in message:
                handler = methods.get(message["method"], _refuse)
                self._answer(message, lambda: handler(message.get("params") or {}))  # noqa: B023 - called at once
            elif turn := self._waiting.get(message["id"]):
                self._answers[message["id"]] = message
                turn.wake()

    def close(self) -> None:
        """Wait for threads that compute answers, at most three seconds: the client may not read."""
        deadline = time.monotonic() + _CLOSE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def notify(self, method: str, params: Message) -> None:
        self._send({"method": method, "params": params})

    def request(self, method: str, params: Message, turn: Turn) -> Message:
        """Send a request to the client, and return its `result`. Raises RpcFailed, TurnCancelled."""
        number = next(self._ids)
        self._waiting[number] = turn
        try:
            self._send({"id": number, "method": method, "params": params})
            turn.wait(lambda: number in self._answers)
            answer = self._answers[number]
        finally:
            del self._waiting[number]
            self._answers.pop(number, None)
        if (error := answer.get("error")) is not None:
            raise RpcFailed(error["code"], error["message"])
        result: Message = answer["result"]
        return result

    def _answer(self, request: Message, compute: Callable[[], Message | Work | None]) -> None:
        try:
            found = compute()
            if callable(found):
                thread = threading.Thread(target=self._answer, args=(request, found), daemon=True)
                thread.start()
                self._threads = [*filter(threading.Thread.is_alive, self._threads), thread]
                return
            answer: Message = {"result": found}
        except RpcFailed as error:
            answer = _error(error.code, str(error), error.details)
        except Exception as error:  # noqa: BLE001 - every request must be answered
            answer = _error(_INTERNAL_ERROR, "Internal error", f"{type(error).__name__}: {error}")
        if "id" in request:
            # The client may be gone; `serve` ends at the end of its input.
            with suppress(ConnectionError):
                self._send({"id": request["id"], **answer})

    def _send(self, message: Message) -> None:
        rest = memoryview(json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":")).encode() + b"\n")
        with self._writing:
            while rest:
                rest = rest[os.write(self._writer, rest) :]


def _error(code: int, message: str, details: str | None) -> Message:
    data = {"data": {"details": details}} if details else {}
    return {"error": {"code": code, "message": message, **data}}


def _refuse(_params: Message) -> Message:
    raise RpcFailed(_METHOD_NOT_FOUND, "Method not found")


class TurnClient:
    """Sends the updates and permission requests of one turn to the client."""

    def __init__(self, connection: Connection, session_id: str, turn: Turn) -> None:
        self._connection = connection
        self._session_id = session_id
        self.turn = turn

    def update(self, kind: str, /, **fields: object) -> None:
        self._connection.notify(
            "session/update", {"sessionId": self._session_id, "update": {"sessionUpdate": kind, **fields}}
        )

    def choose(self, tool_call: Message, options: list[Message]) -> str | None:
        """Request permission; return the id of the chosen option, None for none. Raises RpcFailed, TurnCancelled."""
        answer = self._connection.request(
            "session/request_permission",
            {"sessionId": self._session_id, "toolCall": tool_call, "options": options},
            self.turn,
        )
        outcome = answer["outcome"]
        return str(outcome["optionId"]) if outcome["outcome"] == "selected" else None
