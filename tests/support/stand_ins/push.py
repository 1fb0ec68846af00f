"""Push services for tests: Expo over real HTTP with faults on demand, and a sender in memory that behaves alike."""

import asyncio
import gzip
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from typing_extensions import override

from app.clients.expo.expo_messages import wire_content
from app.clients.pushes.push import (
    NOT_REACHED,
    Accepted,
    BadMessage,
    Deadline,
    DeadToken,
    PushMessage,
    PushOutcome,
    PushSender,
    ReceiptSource,
    TryLater,
)
from app.ids import new_hex_id
from app.runtime import ProcessContext
from tests.support.devices import expo_token


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure of the next request."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    # Instead of the tickets.
    body: bytes | None = None
    # Tickets that are left out at the end of the list, though the messages are taken.
    missing_tickets: int = 0
    hangs: bool = False
    # A byte now and then, without end.
    trickles: bool = False
    # The sender in memory fails in an unforeseen way.
    breaks: bool = False
    # It accepts all messages, and returns an outcome too few.
    forgets: bool = False


@dataclass(slots=True)
class PushService:
    """The messages that a push service has seen, and how it is to behave."""

    received: list[dict[str, Any]] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)
    # The failure of each request, also behind those of `faults`.
    always: Fault = field(default_factory=Fault)
    # Tokens of devices that are gone, of messages that are refused, and tokens that spoil their whole
    # request.
    dead: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)
    receipts: dict[str, dict[str, Any]] = field(default_factory=dict)
    receipt_batches: list[int] = field(default_factory=list)
    delay_seconds: float = 0.0
    # Answers to sends are held back while it is not set.
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    # Sends that have not been answered yet, and the most of them there were at a time.
    open_sends: int = 0
    most_open_sends: int = 0
    # In how many seconds each send had to begin.
    patience: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.may_answer.set()

    @property
    def tokens(self) -> list[str]:
        """The push tokens of the accepted messages, in their order."""
        return [message["to"] for message in self.received]

    def ticket(self, message: dict[str, Any]) -> dict[str, Any]:
        token = message["to"]
        if token in self.dead:
            return _error("DeviceNotRegistered")
        if token in self.refused:
            return _error("MessageTooBig")
        self.received.append(message)
        return {"status": "ok", "id": f"ticket-{new_hex_id()}"}


def push_message(body: str = '"A task" finished') -> PushMessage:
    return PushMessage(expo_token(), "Taskbeacon", body, {"taskId": "t", "taskRunId": "r"})


def _error(name: str) -> dict[str, Any]:
    return {"status": "error", "message": name, "details": {"error": name}}


def _refusal(answer: dict[str, Any]) -> PushOutcome:
    name = answer["details"]["error"]
    return DeadToken(name) if name == "DeviceNotRegistered" else BadMessage(name)


def _failure(fault: Fault) -> TryLater | None:
    """Return the outcome of each message of a request that fails as a whole."""
    if fault.hangs:
        return TryLater("TimeoutError", may_have_arrived=True)
    if fault.status != 200:
        wish = fault.headers.get("Retry-After")
        has_fault = fault.status >= 500
        return TryLater(f"HTTP {fault.status}", float(wish) if wish else None, may_have_arrived=has_fault)
    return None if fault.body is None else TryLater("UnreadableAnswer", may_have_arrived=True)


def expo_application(service: PushService) -> Starlette:
    """Return an application with Expo's two routes, as far as a sender needs them."""

    async def send(request: Request) -> Response:
        messages = await _read(request, service)
        service.batches.append(len(messages))
        service.open_sends += 1
        service.most_open_sends = max(service.most_open_sends, service.open_sends)
        _ = await service.may_answer.wait()
        if service.delay_seconds:
            await asyncio.sleep(service.delay_seconds)
        service.open_sends -= 1
        fault = service.faults.popleft() if service.faults else service.always
        if fault.trickles:
            return StreamingResponse(trickle())
        if fault.hangs:
            # Until the client has had enough: nothing else arrives after the body.
            await request.receive()
            return Response()
        if fault.status != 200 or fault.body is not None:
            return Response(fault.body or b"{}", status_code=fault.status, headers=fault.headers)
        if any(message["to"] in service.unreadable for message in messages):
            return JSONResponse({"errors": [{"code": "VALIDATION_ERROR"}]}, status_code=400)
        tickets = [service.ticket(message) for message in messages]
        return JSONResponse({"data": tickets[: len(tickets) - fault.missing_tickets]})

    async def receipts(request: Request) -> Response:
        ids = (await _read(request, service))["ids"]
        service.receipt_batches.append(len(ids))
        return JSONResponse({"data": {i: service.receipts[i] for i in ids if i in service.receipts}})

    return Starlette(
        routes=[
            Route("/--/api/v2/push/send", send, methods=["POST"]),
            Route("/--/api/v2/push/getReceipts", receipts, methods=["POST"]),
        ]
    )


async def trickle() -> AsyncGenerator[bytes, None]:
    """Yield a byte now and then, without end."""
    while True:
        yield b" "
        await asyncio.sleep(0.05)


async def _read(request: Request, service: PushService) -> Any:
    service.headers.append(dict(request.headers))
    body = await request.body()
    if request.headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    return orjson.loads(body)


class ScriptedSender(PushSender, ReceiptSource):
    """A push sender in memory: accepts messages or fails, as its `service` says."""

    def __init__(self, service: PushService) -> None:
        self.service = service

    @override
    async def send(self, messages: Sequence[PushMessage], deadline: Deadline) -> list[PushOutcome]:
        if deadline.is_past:
            return [NOT_REACHED] * len(messages)
        service = self.service
        service.patience.append(deadline.seconds_left)
        service.batches.append(len(messages))
        _ = await service.may_answer.wait()
        fault = service.faults.popleft() if service.faults else service.always
        if fault.breaks:
            raise RuntimeError("nobody thought of this")
        if (failure := _failure(fault)) is not None:
            return [failure] * len(messages)
        outcomes = [self._outcome(message) for message in messages]
        if fault.forgets:
            return outcomes[1:]
        kept = len(outcomes) - fault.missing_tickets
        return [*outcomes[:kept], *([TryLater("NoTicket", may_have_arrived=True)] * fault.missing_tickets)]

    def _outcome(self, message: PushMessage) -> PushOutcome:
        if message.token in self.service.unreadable:
            return BadMessage("VALIDATION_ERROR")
        ticket = self.service.ticket({"to": message.token, **wire_content(message)})
        if ticket["status"] == "ok":
            return Accepted(ticket["id"])
        return _refusal(ticket)

    @override
    async def fetch_receipts(self, tickets: Sequence[str]) -> dict[str, PushOutcome]:
        self.service.receipt_batches.append(len(tickets))
        known = {
            ticket: self.service.receipts[ticket] for ticket in tickets if ticket in self.service.receipts
        }
        return {
            ticket: Accepted() if receipt["status"] == "ok" else _refusal(receipt)
            for ticket, receipt in known.items()
        }


def with_push(process: ProcessContext, **services: Any) -> ProcessContext:
    """Return the process context with other `senders` or `receipts` of pushes."""
    opened = process.push()._replace(**services)
    return replace(process, push=lambda: opened)
