"""The connection of the protocol library to an agent's pipes: one JSON message a line, with bounds.

Session updates are read here, before the library can parse them: unchanged, in order, and no faster than the log.
Further requests wait while too many are unanswered, since each answer is in memory until the agent reads it.
"""

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable

import structlog

from app.dialogue.storable_text import storable
from app.enums import RpcErrorCode
from app.json_types import JsonDict

LINE_LIMIT = 8 * 2**20
_UPDATE = "session/update"
# Methods whose texts are stored and shown to people. Other texts, such as files, are passed on unchanged.
_SHOWN = frozenset({_UPDATE, "session/request_permission", "elicitation/create"})
# Questions to people; an agent may withdraw them.
_ASKED = frozenset({"session/request_permission", "elicitation/create"})
_WITHDRAWN = "$/cancel_request"
# The key in `_meta` of a question that holds the id of its request.
REQUEST = "taskbeacon_request"
# The notifications that the library handles, in addition to updates. It would log errors about others.
_NOTIFICATIONS = frozenset({"elicitation/complete"})
# Requests with texts that may take megabytes of memory. They wait for nothing else, so few at a time suffice.
_LARGE = frozenset({"fs/read_text_file", "fs/write_text_file", "terminal/output"})
_LARGE_AT_ONCE = 2
# Other requests may wait for people or for programs: more of them are allowed, up to a limit.
_MOST_UNANSWERED = 64
# The most values of one message, since each value takes far more memory than its text.
_MOST_VALUES = 2**18
_DEEPEST = 100
_LONG_NUMBER = re.compile(rb"\d{19}")
_NOISY_LINES = 20
_MOST_PROBLEMS = 5
log = structlog.get_logger(__name__)

Message = JsonDict


class BrokenWire(Exception):
    """An agent sent a line that is no JSON-RPC message, or one that is too large to read."""


class Wire:
    """The transport of the library `acp` over the pipes of an agent; session updates go to `on_update`, in order."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_update: Callable[[Message], Awaitable[None]],
        on_left_out: Callable[[str], Awaitable[None]],
        on_withdrawn: Callable[[str], None],
    ) -> None:
        """Take over the pipes; `on_left_out` gets why an update is not logged, `on_withdrawn` the id of a request."""
        self._reader = reader
        self._writer = writer
        self._on_update = on_update
        self._on_left_out = on_left_out
        self._on_withdrawn = on_withdrawn
        self._writing = asyncio.Lock()
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)
        # By the agent's request id: whether each request is one of `_LARGE`, and its size.
        self._unanswered: defaultdict[str, list[tuple[bool, int]]] = defaultdict(list)
        self._others = 0
        self._other_bytes = 0
        self._noisy_lines = 0
        self.failure: Exception | None = None  # why the line was closed; None if the agent closed it

    async def send(self, message: Message) -> None:
        """Write a message, and wait until the pipe has room. Raises ConnectionError if the agent has closed it."""
        try:
            async with self._writing:
                if self._writer.is_closing():
                    raise ConnectionResetError("the agent takes no more messages")
                # Encoded under the lock, one message at a time: encoding makes it up to six times as large.
                self._writer.write(_encode(message))
                await self._writer.drain()
        finally:
            if "method" not in message:
                self._note_answer(message)

    async def receive(self) -> Message | None:
        """Return the next message for the library; None at the end, or after an error, which is in `failure`."""
        try:
            while (line := await self._line()) is not None:
                message = await self._take(line)
                if message is not None:
                    return message
        except Exception as error:  # noqa: BLE001 - AgentSession raises it where an answer is awaited
            self.failure = error
        return None

    async def close(self) -> None:
        """Close the standard input of the agent, which asks the agent to end."""
        if self._noisy_lines > _NOISY_LINES:
            log.info("agent.more_noise", lines=self._noisy_lines - _NOISY_LINES)
        self._writer.close()

    async def _line(self) -> bytes | None:
        try:
            return await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            return None
        except asyncio.LimitOverrunError:
            raise BrokenWire(f"it sent a line of more than {LINE_LIMIT // 2**20} MiB") from None

    async def _take(self, line: bytes) -> Message | None:
        problem = _too_large(line)
        try:
            message = None if problem else json.loads(line)
        except RecursionError:
            message, problem = None, "it nests too deeply"
        except ValueError:
            message = None
        if problem is not None and _UPDATE.encode() not in line:
            raise BrokenWire(f"it sent a message, but {problem}")
        if problem is None and not isinstance(message, dict):
            self._note_noise(line)
            return None
        if problem is None:
            assert message is not None
            return await self._sort(message, line)
        await self._leave_out(problem)
        return None

    async def _sort(self, message: Message, line: bytes) -> Message | None:
        method = message.get("method")
        _require_rpc(message)
        is_shown = method is None or method in _SHOWN
        problem = _find_log_problem(message, line) if is_shown else None
        if is_shown and problem is None and b"\\u" in line:
            message = storable(message)
        if method == _UPDATE:
            await (self._on_update(message) if problem is None else self._leave_out(problem))
            return None
        if method is None:
            return message
        if "id" not in message:
            if method == _WITHDRAWN and isinstance(params := message.get("params"), dict):
                self._on_withdrawn(json.dumps(params.get("requestId")))
            return message if method in _NOTIFICATIONS else None
        if method in _LARGE:
            await self._large.acquire()
        elif problem is None:
            problem = self._excess(len(line))
        if problem is not None:
            await self._refuse(message, problem)
            return None
        self._note_request(message, len(line))
        return _add_request_id(message) if method in _ASKED else message

    async def _leave_out(self, problem: str) -> None:
        await self._on_left_out(f"An update of the agent is left out: {problem}.")

    def _excess(self, size: int) -> str | None:
        if self._others >= _MOST_UNANSWERED or (self._others and self._other_bytes + size > LINE_LIMIT):
            return "too much that was asked is not answered yet"
        return None

    async def _refuse(self, message: Message, problem: str) -> None:
        error = {"code": RpcErrorCode.INVALID_PARAMS, "message": "Refused", "data": {"details": problem}}
        await self.send({"jsonrpc": "2.0", "id": message["id"], "error": error})

    def _note_request(self, message: Message, size: int) -> None:
        is_large = message["method"] in _LARGE
        self._unanswered[_key(message)].append((is_large, size))
        if not is_large:
            self._others += 1
            self._other_bytes += size

    def _note_answer(self, message: Message) -> None:
        requests = self._unanswered.get(_key(message))
        if not requests:
            return
        is_large, size = requests.pop()
        if not requests:
            del self._unanswered[_key(message)]
        if is_large:
            self._large.release()
        else:
            self._others -= 1
            self._other_bytes -= size

    def _note_noise(self, line: bytes) -> None:
        if not line.strip():
            return
        self._noisy_lines += 1
        if self._noisy_lines <= _NOISY_LINES:
            log.info("agent.noise", line=line[:200].decode(errors="replace"))


def _encode(message: Message) -> bytes:
    error = message.get("error")
    if isinstance(error, dict) and isinstance(data := error.get("data"), dict) and "errors" in data:
        # The library repeats the whole input with each problem that it reports.
        problems = [
            {"loc": str(each.get("loc"))[:200], "msg": str(each.get("msg"))[:200]}
            for each in data["errors"][:_MOST_PROBLEMS]
        ]
        message = {**message, "error": {**error, "data": {"errors": problems}}}
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def _add_request_id(message: Message) -> Message:
    params = message.get("params")
    if not isinstance(params, dict):
        return message
    sent_meta = params.get("_meta")
    meta = sent_meta if isinstance(sent_meta, dict) else {}
    return {**message, "params": {**params, "_meta": {**meta, REQUEST: _key(message)}}}


def _key(message: Message) -> str:
    return json.dumps(message.get("id"))


def _require_rpc(message: Message) -> None:
    if (
        not isinstance(message.get("method"), str | None)
        or not isinstance(message.get("id"), str | int | None)
        or not isinstance(message.get("error"), dict | None)
    ):
        raise BrokenWire("it sent a message that is not JSON-RPC")


def _too_large(line: bytes) -> str | None:
    if len(line) > _MOST_VALUES and sum(map(line.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        return f"it holds more than {_MOST_VALUES} values"
    return None


def _find_log_problem(message: Message, line: bytes) -> str | None:
    if line.count(b"[") + line.count(b"{") <= _DEEPEST and _LONG_NUMBER.search(line) is None:
        return None
    waiting: list[tuple[object, int]] = [(message, 1)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _DEEPEST:
            return f"it nests deeper than {_DEEPEST} levels"
        if isinstance(value, dict):
            waiting += ((item, depth + 1) for item in value.values())
        elif isinstance(value, list):
            waiting += ((item, depth + 1) for item in value)
        elif isinstance(value, int) and not -(2**63) <= value < 2**64:
            return "it holds a number of more than 64 bits"
    return None
