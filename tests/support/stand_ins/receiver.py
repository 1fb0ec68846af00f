"""A receiver of webhooks on a real socket, which verifies each message by the official library."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

import orjson
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from typing_extensions import override

from app.clients.webhooks.webhook_client import error_of, requested_delay
from app.clients.webhooks.webhook_messages import FIXED_HEADERS, AttemptResult, SignedMessage, WebhookSender
from app.clock import utcnow
from app.enums import DeliveryError
from tests.support.waiting import next_round
from tests.support.web.serving import serving

__all__ = ["Received", "Receiver", "Reply", "ScriptedWebhookSender", "receiving", "refuse_unsigned"]


# More than the buffers of two sockets hold.
_CHUNK, _CHUNKS = b"." * 65_536, 500


@dataclass(frozen=True)
class Reply:
    """The response to one message."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"thank you"
    # Before it answers.
    hangs: bool = False
    # Behind its body.
    goes_on: Literal["never", "silently", "talking"] = "never"


@dataclass(frozen=True)
class Received:
    """A webhook message as it was received."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def content(self) -> Any:
        return orjson.loads(self.body)

    @property
    def data(self) -> Any:
        return self.content["data"]

    def is_signed_by(self, secret: str) -> bool:
        """Return whether the official library accepts the message's signature and timestamp."""
        try:
            Webhook(secret).verify(self.body, self.headers)
        except WebhookVerificationError:
            return False
        return True


class Receiver:
    """A receiver of webhooks: keeps the messages, and responds 200 unless set otherwise."""

    def __init__(self) -> None:
        self.base_url = ""
        self.messages: list[Received] = []
        self.replies: deque[Reply] = deque()
        self.always: Reply | None = None
        self.go_on = asyncio.Event()
        self.under_way = 0
        self.most_under_way = 0
        # Long answers that the client did not read to their end.
        self.broken_off = 0
        # Called with each message before it is answered.
        self.on_message: Callable[[Received], None] = lambda _: None

    def url(self, path: str = "hook") -> str:
        return f"{self.base_url}/{path}"

    @property
    def types(self) -> list[str]:
        return [message.content["type"] for message in self.messages]

    def at(self, path: str) -> list[Received]:
        return [message for message in self.messages if message.path == f"/{path}"]

    async def take(self, message: Received) -> Reply:
        """Take a message, and return the reply to it."""
        self.messages.append(message)
        self.on_message(message)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            reply = self.always or (self.replies.popleft() if self.replies else Reply())
            if reply.hangs:
                _ = await self.go_on.wait()
        finally:
            self.under_way -= 1
        return reply

    async def _receive(self, request: Request) -> Response:
        reply = await self.take(Received(request.url.path, dict(request.headers), await request.body()))
        headers = {"content-type": "text/plain", **reply.headers}
        if reply.goes_on == "never":
            return Response(reply.body, reply.status, headers)
        return StreamingResponse(self._going_on(request, reply), reply.status, headers)

    async def _going_on(self, request: Request, reply: Reply) -> AsyncGenerator[bytes, None]:
        yield reply.body
        if reply.goes_on == "silently":
            _ = await self.go_on.wait()
            return
        for _ in range(_CHUNKS):
            if await request.is_disconnected():
                self.broken_off += 1
                return
            yield _CHUNK
            await next_round()

    def application(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._receive, methods=["GET", "POST"])])


def refuse_unsigned(receiver: Receiver, secrets: Mapping[str, str]) -> list[Received]:
    """Verify each message when it comes, since the library refuses older ones; return where wrong ones are noted."""
    wrong: list[Received] = []

    def verify(message: Received) -> None:
        if not message.is_signed_by(secrets[message.path]):
            wrong.append(message)

    receiver.on_message = verify
    return wrong


class ScriptedWebhookSender(WebhookSender):
    """A sender of webhook messages in memory: its receiver gets all of them, whatever their URL."""

    def __init__(self, receiver: Receiver, *, total_seconds: float = 3600) -> None:
        self._receiver = receiver
        self._total_seconds = total_seconds

    @override
    async def send(self, message: SignedMessage) -> AttemptResult:
        started_at, began = utcnow(), asyncio.get_running_loop().time()
        sent = {name.lower(): value for name, value in {**FIXED_HEADERS, **message.headers}.items()}
        received = Received(urlsplit(message.url).path, sent, message.body.encode())
        try:
            async with asyncio.timeout(self._total_seconds):
                reply = await self._receiver.take(received)
        except TimeoutError:
            duration = timedelta(seconds=asyncio.get_running_loop().time() - began)
            return AttemptResult(started_at=started_at, duration=duration, error=DeliveryError.TIMEOUT)
        is_text = reply.headers.keys().isdisjoint({"content-type", "content-encoding"})
        return AttemptResult(
            started_at=started_at,
            duration=timedelta(seconds=asyncio.get_running_loop().time() - began),
            error=error_of(reply.status),
            status_code=reply.status,
            retry_after=requested_delay(reply.headers.get("Retry-After")),
            excerpt=reply.body.decode() if is_text else None,
        )


@asynccontextmanager
async def receiving() -> AsyncGenerator[Receiver, None]:
    """Yield a receiver of webhooks that listens on a local port."""
    receiver = Receiver()
    async with serving(receiver.application()) as base_url:
        receiver.base_url = base_url
        yield receiver
        receiver.go_on.set()
