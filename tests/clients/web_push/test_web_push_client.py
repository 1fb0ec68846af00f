"""Web push: what a browser's push service gets, and what becomes of its answers (RFC 8030, 8291, 8292)."""

import asyncio
import base64
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import http_ece
import httpx
import jwt
import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from typing_extensions import override

from app.clients.pushes.push import (
    NOT_REACHED,
    Accepted,
    BadMessage,
    Deadline,
    DeadToken,
    PushAction,
    PushMessage,
    PushOutcome,
    PushStyle,
    TryLater,
)
from app.clients.pushes.push_circuit import OPEN_AFTER
from app.clients.web_push.vapid import VapidKey
from app.clients.web_push.web_push_client import WebPushClient
from app.enums import Urgency
from app.services.retrying.policies import PUSH_PROBES
from tests.support.waiting import next_round
from tests.support.web.serving import serving

SUBJECT = "mailto:operator@example.com"


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Browser:
    """A browser that subscribed: it alone can read its messages."""

    def __init__(self, endpoint: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._secret = os.urandom(16)
        point = self._key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        self.subscription: dict[str, Any] = {
            "endpoint": endpoint,
            "expirationTime": None,
            "keys": {"p256dh": base64url(point), "auth": base64url(self._secret)},
        }

    @property
    def token(self) -> str:
        return orjson.dumps(self.subscription).decode()

    def read(self, body: bytes) -> Any:
        plain = http_ece.decrypt(body, private_key=self._key, auth_secret=self._secret, version="aes128gcm")
        return orjson.loads(plain)


class BrowserService:
    """A browser's push service on this machine."""

    def __init__(self) -> None:
        self.requests: list[tuple[Mapping[str, str], bytes]] = []
        self.status = 201
        self.headers: dict[str, str] = {}
        # What follows the head of the answer; None: nothing.
        self.body: AsyncIterator[bytes] | None = None

    async def answer(self, request: Request) -> Response:
        self.requests.append((dict(request.headers), await request.body()))
        if self.body is not None:
            return StreamingResponse(self.body, status_code=self.status)
        return Response(status_code=self.status, headers=self.headers)


@pytest.fixture
def service() -> BrowserService:
    return BrowserService()


@pytest.fixture
async def base_url(service: BrowserService) -> AsyncGenerator[str, None]:
    application = Starlette(routes=[Route("/{path:path}", service.answer, methods=["POST"])])
    async with serving(application) as url:
        yield url


@pytest.fixture
def browser(base_url: str) -> Browser:
    return Browser(f"{base_url}/send/abc")


@pytest.fixture
def key() -> VapidKey:
    return VapidKey(VapidKey.generate())


@pytest.fixture
def sender(key: VapidKey, http: httpx.AsyncClient) -> WebPushClient:
    hosts = ("127.0.0.1", ".example.com")
    return WebPushClient(
        http, key=key, subject=SUBJECT, hosts=hosts, next_probe=PUSH_PROBES.next_at, allow_http=True
    )


def message(token: str, body: str = '"A task" finished') -> PushMessage:
    return PushMessage(token, "Taskbeacon", body, {"taskId": "t"})


async def test_browser_can_read_its_message(
    sender: WebPushClient, service: BrowserService, browser: Browser
) -> None:
    assert await sender.send([message(browser.token)], Deadline()) == [Accepted()]

    [(headers, body)] = service.requests
    assert headers["content-encoding"] == "aes128gcm"
    assert int(headers["ttl"]) > 0
    assert browser.read(body) == {"title": "Taskbeacon", "body": '"A task" finished', "data": {"taskId": "t"}}


STYLE = PushStyle(
    urgency=Urgency.HIGH,
    ttl_seconds=600,
    badge=3,
    thread="task:1",
    link="https://tasks.example/a/tba_page",
    actions=[
        PushAction("reject", "no", "Reject", "tba_reject", "https://tasks.example/a/tba_reject"),
        PushAction("allow", "yes", "Allow", "tba_allow", "https://tasks.example/a/tba_allow"),
    ],
)


async def test_message_with_a_style_is_declarative_and_still_read_by_older_workers(
    sender: WebPushClient, service: BrowserService, browser: Browser
) -> None:
    styled = replace(message(browser.token), style=STYLE, tag="q:1")

    assert await sender.send([styled], Deadline()) == [Accepted()]

    [(headers, body)] = service.requests
    plain = {"title": "Taskbeacon", "body": '"A task" finished', "data": {"taskId": "t"}}
    assert browser.read(body) == {
        "web_push": 8030,
        "notification": {
            **plain,
            "tag": "q:1",
            "navigate": "https://tasks.example/a/tba_page",
            "actions": [
                {
                    "action": "reject",
                    "title": "Reject",
                    "navigate": "https://tasks.example/a/tba_reject",
                },
                {"action": "allow", "title": "Allow", "navigate": "https://tasks.example/a/tba_allow"},
            ],
        },
        "app_badge": 3,
        **plain,
    }
    assert (headers["ttl"], headers["urgency"]) == ("600", "high")
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", headers["topic"])


@pytest.mark.parametrize(
    ("changes", "shown", "urgency"),
    [
        ({"is_silent": True, "urgency": Urgency.LOW, "actions": ()}, {"silent": True}, "low"),
        ({"is_renewed": True, "urgency": Urgency.NORMAL, "actions": ()}, {"renotify": True}, "normal"),
        ({"link": None, "actions": [replace(STYLE.actions[0], link=None)]}, {}, "high"),
    ],
)
async def test_browser_gets_only_the_fields_that_are_set(
    sender: WebPushClient,
    service: BrowserService,
    browser: Browser,
    changes: dict[str, Any],
    shown: dict[str, Any],
    urgency: str,
) -> None:
    await sender.send([replace(message(browser.token), style=replace(STYLE, **changes))], Deadline())

    [(headers, body)] = service.requests
    notification = browser.read(body)["notification"]
    optional = {name: notification[name] for name in ("silent", "renotify") if name in notification}
    assert (optional, headers["urgency"]) == (shown, urgency)
    assert ("navigate" in notification) == (changes.get("link", STYLE.link) is not None)
    assert "actions" not in notification


async def test_browser_shows_who_says_it(
    sender: WebPushClient, service: BrowserService, browser: Browser
) -> None:
    style = replace(STYLE, speaker="agent")
    await sender.send([replace(message(browser.token), body="Tests pass.", style=style)], Deadline())

    [(_, body)] = service.requests
    content = browser.read(body)
    assert content["body"] == content["notification"]["body"] == "Agent: Tests pass."


async def test_messages_of_one_tag_replace_each_other_at_the_push_service(
    sender: WebPushClient, service: BrowserService, browser: Browser
) -> None:
    for tag in ("q:1", "q:1", "q:2", None):
        await sender.send([replace(message(browser.token), style=STYLE, tag=tag)], Deadline())
    topics = [headers.get("topic") for headers, _ in service.requests]
    assert topics[0] == topics[1] != topics[2]
    assert topics[3] is None


async def test_styled_message_of_any_length_fits(
    sender: WebPushClient, service: BrowserService, browser: Browser
) -> None:
    await sender.send([replace(message(browser.token, body="é" * 10_000), style=STYLE)], Deadline())
    body = service.requests[0][1]
    assert len(body) <= 4096
    assert browser.read(body)["notification"]["body"].endswith("…")


async def test_what_cannot_be_begun_in_time_is_not_sent(
    sender: WebPushClient, browser: Browser, service: BrowserService
) -> None:
    assert await sender.send([message(browser.token)], Deadline(0)) == [NOT_REACHED]
    assert service.requests == []


async def test_request_proves_who_sends_it(
    sender: WebPushClient, service: BrowserService, browser: Browser, key: VapidKey, base_url: str
) -> None:
    await sender.send([message(browser.token)], Deadline())

    scheme, _, parameters = service.requests[0][0]["authorization"].partition(" ")
    values = dict(part.strip().split("=", 1) for part in parameters.split(","))
    assert (scheme, values["k"]) == ("vapid", key.public_key)
    point = base64.urlsafe_b64decode(values["k"] + "=" * (-len(values["k"]) % 4))
    public_key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    claims = jwt.decode(values["t"], public_key, algorithms=["ES256"], audience=base_url)
    assert claims["sub"] == SUBJECT


async def test_message_of_any_length_fits(
    sender: WebPushClient, service: BrowserService, browser: Browser
) -> None:
    await sender.send([message(browser.token, body="é" * 10_000)], Deadline())

    body = service.requests[0][1]
    assert len(body) <= 4096
    assert browser.read(body)["body"].endswith("…")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (404, DeadToken("HTTP 404")),
        (410, DeadToken("HTTP 410")),
        (400, BadMessage("HTTP 400")),
        (302, BadMessage("HTTP 302")),
        (401, TryLater("HTTP 401")),
        (403, TryLater("HTTP 403")),
        (429, TryLater("HTTP 429", 30.0)),
        (503, TryLater("HTTP 503", 30.0, may_have_arrived=True)),
    ],
)
async def test_answer_of_a_push_service_decides_the_outcome(
    sender: WebPushClient, service: BrowserService, browser: Browser, status: int, outcome: PushOutcome
) -> None:
    service.status = status
    service.headers = {"Retry-After": "30", "Location": "/elsewhere"}

    assert await sender.send([message(browser.token)], Deadline()) == [outcome]
    assert len(service.requests) == 1


async def test_subscriptions_of_another_key_hold_nobody_elses_pushes(
    sender: WebPushClient, service: BrowserService, browser: Browser
) -> None:
    service.status = 403
    for _ in range(OPEN_AFTER):
        assert await sender.send([message(browser.token)], Deadline()) == [TryLater("HTTP 403")]
    service.status = 201

    assert await sender.send([message(browser.token)], Deadline()) == [Accepted()]


async def endless() -> AsyncIterator[bytes]:
    while True:
        # The server notices in between that the client is gone.
        await next_round()
        yield bytes(65_536)


async def never() -> AsyncIterator[bytes]:
    yield b"a beginning"
    _ = await asyncio.Event().wait()


@pytest.mark.parametrize("body", [endless, never])
async def test_body_of_an_answer_is_not_waited_for(
    sender: WebPushClient, service: BrowserService, browser: Browser, body: Callable[[], AsyncIterator[bytes]]
) -> None:
    """Regression: a push that was accepted was sent again, and an endless answer filled the memory."""
    service.body = body()

    assert await sender.send([message(browser.token)], Deadline()) == [Accepted()]
    assert len(service.requests) == 1


class BrokenTransport(httpx.AsyncHTTPTransport):
    """A transport that fails for one address in a way that nothing expects."""

    def __init__(self, broken: str) -> None:
        super().__init__()
        self._broken = broken

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if str(request.url) == self._broken:
            raise RuntimeError("planted")
        return await super().handle_async_request(request)


async def test_request_that_fails_unexpectedly_makes_no_other_be_sent_again(
    key: VapidKey, service: BrowserService, base_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: it cancelled the others, which may have been accepted, and all were sent again."""
    broken, *others = [f"{base_url}/send/{number}" for number in range(4)]
    async with httpx.AsyncClient(transport=BrokenTransport(broken)) as http:
        sender = WebPushClient(
            http,
            key=key,
            subject=SUBJECT,
            hosts=["127.0.0.1"],
            next_probe=PUSH_PROBES.next_at,
            allow_http=True,
        )
        messages = [message(Browser(endpoint).token) for endpoint in (broken, *others)]
        outcomes = await sender.send(messages, Deadline())

    assert outcomes == [TryLater("RuntimeError", may_have_arrived=True), *[Accepted()] * len(others)]
    assert len(service.requests) == len(others)
    assert "planted" in caplog.text


async def test_redirect_to_a_host_that_cannot_be_read_is_an_answer_like_others(
    sender: WebPushClient, service: BrowserService, browser: Browser
) -> None:
    """It is not followed, but the HTTP client reads it: its error took the requests beside it down."""
    service.status = 302
    service.headers = {"Location": "https://xn--/"}

    outcomes = await sender.send([message(browser.token)] * 2, Deadline())

    assert outcomes == [DeadToken("NotASubscription")] * 2
    assert len(service.requests) == 2


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://localhost:1/x",
        "http://169.254.169.254/latest/meta-data",
        "https://example.com.evil.test/x",
        "https://example.com/x",
        "file:///etc/passwd",
        "https://user@push.example.com/x",
        "ftp://push.example.com/x",
        "//push.example.com/x",
        "https://[/x",
        "https://xn--.example.com/x",
        "https://xn--a.example.com/x",
        "https://push.example.com:port/x",
        "",
    ],
)
async def test_subscription_of_no_known_host_is_never_asked(sender: WebPushClient, endpoint: str) -> None:
    outcomes = await sender.send([message(Browser(endpoint).token)], Deadline())

    assert outcomes == [DeadToken("NotASubscription")]


async def test_plain_http_is_for_development_only(
    key: VapidKey, browser: Browser, http: httpx.AsyncClient
) -> None:
    sender = WebPushClient(
        http, key=key, subject=SUBJECT, hosts=("127.0.0.1",), next_probe=PUSH_PROBES.next_at
    )
    assert await sender.send([message(browser.token)], Deadline()) == [DeadToken("NotASubscription")]


@pytest.mark.parametrize(
    "token",
    ["", "x", "[]", "null", "{}", '{"endpoint": 7}', '{"endpoint": "https://a.example.com", "keys": {}}'],
)
async def test_token_that_is_no_subscription_is_dead(sender: WebPushClient, token: str) -> None:
    assert await sender.send([message(token)], Deadline()) == [DeadToken("NotASubscription")]


@pytest.mark.parametrize("part", ["p256dh", "auth"])
@pytest.mark.parametrize("value", ["", "x", "AAAA", "!!!", "A" * 87])
async def test_subscription_with_broken_keys_is_dead(
    sender: WebPushClient, service: BrowserService, browser: Browser, part: str, value: str
) -> None:
    browser.subscription["keys"][part] = value

    outcomes = await sender.send([message(browser.token)], Deadline())

    # A secret of another length still encrypts; only the browser could see that it is wrong.
    assert outcomes == [DeadToken("NotASubscription")] or (part == "auth" and len(service.requests) == 1)


def test_public_key_belongs_to_the_private_key() -> None:
    private_key = VapidKey.generate()

    assert VapidKey(private_key).public_key == VapidKey(SecretStr(private_key.get_secret_value())).public_key
    assert len(base64.urlsafe_b64decode(VapidKey(private_key).public_key + "=")) == 65


class NoThreads(ThreadPoolExecutor):
    """The threads of a process that may start no more."""

    @override
    def submit(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("can't start new thread")


async def test_push_that_gets_no_thread_is_sent_later(
    sender: WebPushClient, service: BrowserService, browser: Browser
) -> None:
    """Regression: it was refused for good, as a message that cannot be encrypted."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(NoThreads())
    try:
        outcomes = await sender.send([message(browser.token)], Deadline())
    finally:
        loop.set_default_executor(ThreadPoolExecutor())

    assert outcomes == [TryLater("RuntimeError")]
    assert await sender.send([message(browser.token)], Deadline()) == [Accepted()]
    assert len(service.requests) == 1


async def test_push_that_cannot_be_encrypted_is_given_up(
    sender: WebPushClient, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    unreadable = replace(message(browser.token), data={"taskId": object()})

    assert await sender.send([unreadable], Deadline()) == [BadMessage("EncryptionFailed")]
    assert "push.encryption_failed" in caplog.text
