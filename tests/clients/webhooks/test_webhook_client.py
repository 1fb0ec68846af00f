"""Webhook senders: the one on the wire and the one in memory are held to the same behaviour (contract 14.5)."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Literal

import httpx
import pytest

from app.clients.http.guarded_http import create_guarded_client
from app.clients.webhooks.webhook_client import ANSWER_SECONDS, TOTAL_SECONDS, WebhookClient
from app.clients.webhooks.webhook_messages import FIXED_HEADERS, SignedMessage, WebhookSender
from app.enums import DeliveryError
from app.security.addresses import AddressPolicy
from tests.support.clock import MovableClock
from tests.support.stand_ins.receiver import Receiver, Reply, ScriptedWebhookSender, receiving
from tests.support.waiting import eventually, patient
from tests.support.webhooks import LOOPBACK

SIGNED = {"webhook-id": "1", "webhook-timestamp": "2", "webhook-signature": "v1,abc v1,def"}


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver, None]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient, None]:
    async with create_guarded_client(AddressPolicy.parse(LOOPBACK)) as http:
        yield http


@pytest.fixture
def seconds() -> float:
    """The seconds that a receiver may take."""
    return 3600


@pytest.fixture(params=["wire", "memory"])
def sender(
    request: pytest.FixtureRequest, http: httpx.AsyncClient, receiver: Receiver, seconds: float
) -> WebhookSender:
    if request.param == "wire":
        return WebhookClient(http, total_seconds=seconds)
    return ScriptedWebhookSender(receiver, total_seconds=seconds)


def message(url: str) -> SignedMessage:
    return SignedMessage(url, '{"type": "ping", "text": "é"}', SIGNED)


class TestAnySender:
    async def test_message_arrives_byte_for_byte_with_the_headers_that_sign_it(
        self, sender: WebhookSender, receiver: Receiver, clock: MovableClock
    ) -> None:
        sent = message(receiver.url("a/b"))

        result = await sender.send(sent)

        (got,) = receiver.messages
        assert (got.path, got.body) == ("/a/b", sent.body.encode())
        headers = {name.lower(): value for name, value in {**FIXED_HEADERS, **SIGNED}.items()}
        assert got.headers.items() >= headers.items()
        assert (result.error, result.status_code, result.excerpt) == (None, 200, "thank you")
        assert result.started_at == clock.now
        assert result.duration >= timedelta(0)

    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (204, None),
            (301, DeliveryError.REDIRECT),
            (404, DeliveryError.HTTP_4XX),
            (410, DeliveryError.HTTP_4XX),
            (500, DeliveryError.HTTP_5XX),
        ],
    )
    async def test_status_of_the_answer_decides(
        self, sender: WebhookSender, receiver: Receiver, status: int, error: DeliveryError | None
    ) -> None:
        receiver.replies.append(Reply(status, {"Location": receiver.url("elsewhere")}, b""))

        result = await sender.send(message(receiver.url()))

        assert (result.error, result.status_code) == (error, status)
        assert result.is_gone == (status == 410)
        assert len(receiver.messages) == 1

    @pytest.mark.parametrize(
        ("header", "delay"),
        [
            ("120", 120),
            ("9" * 400, 24 * 3600),
            ("Fri, 01 Jan 2100 00:00:00 GMT", 24 * 3600),
            ("Sat, 01 Jan 2000 00:00:00 -0000", 0),
            ("²", None),
            ("soon", None),
        ],
    )
    async def test_wish_of_the_receiver_is_read_as_seconds_or_as_a_date(
        self, sender: WebhookSender, receiver: Receiver, header: str, delay: float | None
    ) -> None:
        receiver.replies.append(Reply(503, {"Retry-After": header}))

        assert (await sender.send(message(receiver.url()))).retry_after == delay

    @pytest.mark.parametrize(
        "reply",
        [
            Reply(headers={"content-encoding": "gzip"}, body=b"\x1f\x8b"),
            Reply(headers={"content-type": "image/png"}, body=b"\x89PNG"),
        ],
    )
    async def test_answer_that_is_no_plain_text_is_not_shown(
        self, sender: WebhookSender, receiver: Receiver, reply: Reply
    ) -> None:
        receiver.replies.append(reply)

        result = await sender.send(message(receiver.url()))

        assert (result.error, result.excerpt) == (None, None)

    @pytest.mark.parametrize("seconds", [0.2])
    async def test_receiver_that_does_not_answer_in_time_has_failed(
        self, sender: WebhookSender, receiver: Receiver, seconds: float
    ) -> None:
        receiver.always = Reply(hangs=True)

        result = await sender.send(message(receiver.url()))

        assert (result.error, result.status_code) == (DeliveryError.TIMEOUT, None)
        assert result.duration >= timedelta(seconds=seconds)


def test_receivers_have_fifteen_seconds_and_two_more_for_the_body() -> None:
    assert (TOTAL_SECONDS, ANSWER_SECONDS) == (15, 2)


async def test_large_answer_is_read_to_a_bound_without_control_characters(
    http: httpx.AsyncClient, receiver: Receiver
) -> None:
    receiver.replies.append(Reply(body=b"a\x00\x1b[31m" + b"b" * 100_000))

    result = await WebhookClient(http).send(message(receiver.url()))

    assert result.excerpt is not None
    assert len(result.excerpt) == 1024
    assert result.excerpt.startswith("a  [31mbb")


@pytest.mark.parametrize("goes_on", ["silently", "talking"])
async def test_answer_that_does_not_end_is_broken_off_and_counts_by_its_status(
    http: httpx.AsyncClient, receiver: Receiver, goes_on: Literal["silently", "talking"]
) -> None:
    """Silence is waited for a moment, and of a flood only the beginning is read, however much time there is."""
    client = WebhookClient(http, answer_seconds=1.0 if goes_on == "silently" else 3600.0)
    receiver.replies.append(Reply(body=b"so far", goes_on=goes_on))

    result = await client.send(message(receiver.url()))

    assert (result.error, result.status_code) == (None, 200)
    assert (result.excerpt or "").startswith("so far")
    if goes_on == "talking":
        await eventually(lambda: receiver.broken_off == 1)
    else:
        assert result.duration < timedelta(seconds=patient(60))


async def test_unreachable_receivers_are_distinguished(http: httpx.AsyncClient, receiver: Receiver) -> None:
    """A server without TLS, a port without a server, a name that cannot exist, and a private network."""
    client = WebhookClient(http)
    urls = (
        receiver.base_url.replace("http:", "https:"),
        "http://127.0.0.1:1/",
        "http://nothing.invalid/",
        "http://10.0.0.1/",
    )

    results = await asyncio.gather(*(client.send(message(url)) for url in urls))

    assert [(result.error, result.address) for result in results] == [
        (DeliveryError.TLS_FAILED, "127.0.0.1"),
        (DeliveryError.CONNECT_FAILED, "127.0.0.1"),
        (DeliveryError.DNS_FAILED, None),
        (DeliveryError.BLOCKED_ADDRESS, "10.0.0.1"),
    ]


@pytest.mark.parametrize(
    ("body", "headers"), [("\ud800", SIGNED), ("{}", {**SIGNED, "traceparent": "é"})], ids=["body", "header"]
)
async def test_message_that_cannot_be_encoded_is_no_failure_of_the_receiver(
    http: httpx.AsyncClient, receiver: Receiver, body: str, headers: dict[str, str]
) -> None:
    """It was reported as `connect_failed`, which counted against the endpoint and could disable it."""
    with pytest.raises(UnicodeEncodeError):
        await WebhookClient(http).send(SignedMessage(receiver.url(), body, headers))


async def test_host_that_cannot_be_decoded_is_a_failure_of_the_receiver(
    http: httpx.AsyncClient, receiver: Receiver
) -> None:
    """Of its URL, and of a redirect, which httpx reads without following it."""
    receiver.replies.append(Reply(307, {"Location": "https://xn--/"}))
    client = WebhookClient(http)

    for url in ("https://xn--/", receiver.url()):
        assert (await client.send(message(url))).error is not None
