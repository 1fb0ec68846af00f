"""A server that answers by a script, on a real socket, also with what no server should send."""

import asyncio
import json
import re
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

PROJECT = "/api/projects/@current"
ID = "01890000-0000-7000-8000-00000000000a"
RUN_PATH = f"{PROJECT}/tasks/{ID}/runs/{ID}"
PATCH = b"diff --git a/new.txt b/new.txt\nnew file mode 100644\n--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1 @@\n+one\n"
_STRINGS = {"uuid": ID, "date-time": "2026-01-01T10:00:00Z", "email": "a@example.com"}
_STATE = {
    "type": "task_run_state", "run_id": ID, "task_id": ID, "status": "completed", "stage": None, "output": None,
    "branch": None, "error_message": None, "updated_at": "2026-01-01T10:00:00Z", "completed_at": "2026-01-01T10:00:00Z",
}  # fmt: skip
# What an example must be to be of use to a command.
_KNOWN: dict[str, dict[str, Any]] = {
    "RunOut": {"status": "completed", "state": {}, "output": {"head_branch": "main"}, "error_message": None},
    "RunArtifactOut": {"name": "changes.patch", "type": "output"},
    "QuestionOut": {"kind": "permission", "status": "open"},
    "QuestionOption": {"id": "allow"},
    "CommandOut": {"result": {"queued": True}},
    "TerminalLoginOut": {"interval": 0},
    "AgentOut": {"name": "claude"},
}


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
        self.otherwise: Reply | Answering = failure(404, "not_found")

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
            found: Reply | Answering = self.always
        elif not replies:
            found = self.otherwise
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


class Examples:
    """Answers by an example of what the API's description says."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._schemas = document["components"]["schemas"]
        self._made: dict[str, Reply] = {}
        self._operations = {
            f"{method.upper()} {re.sub('{[a-z_]+}', '[^/]+', path)}": operation["responses"]
            for path, item in document["paths"].items()
            for method, operation in item.items()
        }

    def answer(self, received: Received) -> Reply:
        asked = f"{received.method} {received.path.removesuffix('/')}"
        if asked not in self._made:
            self._made[asked] = self._make(asked)
        return self._made[asked]

    def _make(self, asked: str) -> Reply:
        for pattern, responses in self._operations.items():
            if re.fullmatch(pattern, asked):
                status, response = next(each for each in responses.items() if each[0].startswith("2"))
                content = response.get("content", {}).get("application/json")
                return answer(self.of(content["schema"]), int(status)) if content else Reply(int(status))
        return failure(404, "not_found")

    def of(self, schema: dict[str, Any], name: str = "") -> Any:
        match schema:
            case {"$ref": path}:
                named = path.rpartition("/")[2]
                found = self.of(self._schemas[named])
                found = found | _KNOWN.get(named, {}) if isinstance(found, dict) else found
            case {"anyOf": [first, *_]} | {"oneOf": [first, *_]} | {"allOf": [first, *_]}:
                # The last page of each list.
                found = None if name.startswith("next") else self.of(first)
            case {"const": found} | {"enum": [found, *_]}:
                pass
            case {"type": "object"}:
                properties = schema.get("properties", {})
                found = {each: self.of(properties[each], each) for each in schema.get("required", ())}
            case {"type": "array"}:
                found = [self.of(schema.get("items", {}))]
            case {"type": "string"}:
                found = _STRINGS.get(schema.get("format", ""), "text")
            case _:
                simple = {"integer": schema.get("minimum", 1), "number": 1.0, "boolean": False}
                found = simple.get(schema.get("type", ""))
        return found


def serve_examples(beacon: Server, examples: Examples) -> None:
    """Answer all requests of commands with `tests.client.command.LINES`; streams end, that of events by a refusal."""
    beacon.otherwise = examples.answer
    notification = {"jsonrpc": "2.0", "method": "_taskbeacon/progress", "params": {"message": "Cloning"}}
    entry = {"type": "notification", "timestamp": "2026-01-01T10:00:00Z", "notification": notification}
    beacon.on(f"GET {RUN_PATH}/stream", stream(frame(entry, id_="1-1"), frame(_STATE, id_="1-2")))
    beacon.on(f"GET {RUN_PATH}/logs", Reply(body=frame(entry).removeprefix(b"data: ").strip()))
    beacon.on(f"GET {RUN_PATH}/artifacts/download", Reply(body=PATCH))
    event = examples.of({"$ref": "#/components/schemas/EventOut"})
    refused = failure(403, "permission_denied")
    beacon.on(f"GET {PROJECT}/events/stream", *[stream(frame(event, id_="p1")), refused] * 2)
    kinds = [{"type": event["type"]}, {"type": "run.started"}]
    beacon.on(f"GET {PROJECT}/webhook_event_types", answer(kinds))
