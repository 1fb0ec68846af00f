"""Push senders: the one on the wire and the one in memory are held to the same behaviour (contract 7.2)."""

import asyncio
import gzip
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from app.clients.expo.expo_client import MAX_PARALLEL_SENDS, ExpoClient, open_http
from app.clients.expo.send_rate import SendRate
from app.clients.pushes.push import (
    NOT_REACHED,
    Accepted,
    BadMessage,
    Deadline,
    DeadToken,
    PushAction,
    PushMessage,
    PushSender,
    PushStyle,
    TryLater,
)
from app.clients.pushes.push_circuit import OPEN_AFTER
from app.clients.pushes.push_length import shorten
from app.clients.redis import RedisClient, create_redis
from app.enums import Urgency
from app.services.retrying.policies import PUSH_PROBES
from tests.support.deployment.processes import closed_port
from tests.support.devices import expo_token
from tests.support.stand_ins.push import Fault, PushService, ScriptedSender, expo_application
from tests.support.waiting import eventually
from tests.support.web.serving import serving


def message(token: str | None = None, body: str = '"A task" finished') -> PushMessage:
    return PushMessage(token or expo_token(), "Taskbeacon", body, {"taskId": "t", "taskRunId": "r"})


@pytest.fixture
def seconds() -> float:
    """The seconds that Expo may take for an answer."""
    return 120


soon = pytest.mark.parametrize("seconds", [0.5])


@pytest.fixture
async def wire(push_service: PushService, seconds: float) -> AsyncGenerator[ExpoClient, None]:
    """The client that the service uses, talking to Expo's protocol over a socket."""
    async with serving(expo_application(push_service)) as base_url, open_http(base_url) as http:
        yield ExpoClient(
            http,
            base_url=base_url,
            access_token=SecretStr("expo-secret"),
            rate=None,
            next_probe=PUSH_PROBES.next_at,
            timeout_seconds=seconds,
        )


@pytest.fixture(params=["wire", "memory"])
async def sender(
    request: pytest.FixtureRequest, push_service: PushService, wire: ExpoClient
) -> ExpoClient | ScriptedSender:
    return wire if request.param == "wire" else ScriptedSender(push_service)


class TestAnySender:
    async def test_outcomes_stand_at_the_positions_of_their_messages(
        self, sender: PushSender, push_service: PushService
    ) -> None:
        messages = [message() for _ in range(4)]
        push_service.dead.add(messages[1].token)
        push_service.refused.add(messages[2].token)

        outcomes = await sender.send(messages, Deadline())

        assert isinstance(outcomes[0], Accepted)
        assert outcomes[0].ticket
        assert outcomes[1:3] == [DeadToken("DeviceNotRegistered"), BadMessage("MessageTooBig")]
        assert isinstance(outcomes[3], Accepted)
        assert push_service.tokens == [messages[0].token, messages[3].token]

    async def test_what_cannot_be_begun_in_time_is_not_sent(
        self, sender: PushSender, push_service: PushService
    ) -> None:
        """Such a push may be another worker's by then, which would send it too."""
        assert await sender.send([message(), message()], Deadline(0)) == [NOT_REACHED] * 2
        assert push_service.received == []

    async def test_message_has_the_contracts_form(
        self, sender: PushSender, push_service: PushService
    ) -> None:
        sent = message()

        await sender.send([sent], Deadline())

        assert push_service.received == [
            {
                "to": sent.token,
                "title": "Taskbeacon",
                "body": '"A task" finished',
                "data": {"taskId": "t", "taskRunId": "r"},
                "sound": "default",
            }
        ]

    @pytest.mark.parametrize(
        ("style", "said"),
        [
            (
                PushStyle(urgency=Urgency.HIGH, ttl_seconds=60, badge=0, channel="questions"),
                {
                    "sound": "default",
                    "priority": "high",
                    "interruptionLevel": "time-sensitive",
                    "ttl": 60,
                    "badge": 0,
                    "channelId": "questions",
                },
            ),
            (
                PushStyle(urgency=Urgency.NORMAL, ttl_seconds=60, thread="task:1"),
                {
                    "sound": "default",
                    "priority": "high",
                    "interruptionLevel": "active",
                    "ttl": 60,
                    "threadId": "task:1",
                },
            ),
            (
                PushStyle(urgency=Urgency.LOW, ttl_seconds=60),
                {"sound": "default", "priority": "normal", "interruptionLevel": "passive", "ttl": 60},
            ),
            (
                PushStyle(urgency=Urgency.LOW, ttl_seconds=60, is_silent=True),
                {"priority": "normal", "interruptionLevel": "passive", "ttl": 60},
            ),
        ],
    )
    async def test_class_of_a_message_is_said_in_the_words_of_the_service(
        self, sender: PushSender, push_service: PushService, style: PushStyle, said: dict[str, Any]
    ) -> None:
        sent = replace(message(), style=style)

        await sender.send([sent], Deadline())

        plain = {"to": sent.token, **sent.content()}
        assert push_service.received == [{**plain, **said}]

    @pytest.mark.parametrize("style", [None, PushStyle(urgency=Urgency.LOW, ttl_seconds=60)])
    async def test_messages_of_one_tag_replace_each_other_on_both_platforms(
        self, sender: PushSender, push_service: PushService, style: PushStyle | None
    ) -> None:
        await sender.send([replace(message(), style=style, tag="q:1")], Deadline())

        [received] = push_service.received
        assert (received["collapseId"], received["tag"]) == ("q:1", "q:1")

    async def test_buttons_travel_in_the_data_for_the_app(
        self, sender: PushSender, push_service: PushService
    ) -> None:
        action = PushAction("allow", "yes", "Allow", "tba_x", "https://tasks.example/a/tba_x")
        style = PushStyle(urgency=Urgency.NORMAL, ttl_seconds=60, actions=[action])

        await sender.send([replace(message(), style=style)], Deadline())

        [received] = push_service.received
        assert received["categoryId"] == "question"
        assert received["data"] == {
            "taskId": "t",
            "taskRunId": "r",
            "actions": [{"id": "allow", "option_id": "yes", "title": "Allow", "token": "tba_x"}],
        }
        assert "tba_x" not in repr(style)

    @pytest.mark.parametrize(
        ("status", "may_have_arrived"), [(429, False), (500, True), (502, True), (503, True), (504, True)]
    )
    async def test_refusal_of_the_service_decides_nothing_and_names_its_wish(
        self, sender: PushSender, push_service: PushService, status: int, *, may_have_arrived: bool
    ) -> None:
        push_service.faults.append(Fault(status, {"Retry-After": "17"}))

        outcomes = await sender.send([message(), message()], Deadline())

        assert outcomes == [TryLater(f"HTTP {status}", 17.0, may_have_arrived)] * 2
        assert push_service.received == []

    @pytest.mark.parametrize("status", [401, 403, 404, 407, 408])
    async def test_refusal_that_is_not_about_messages_costs_none(
        self, sender: PushSender, push_service: PushService, status: int
    ) -> None:
        push_service.faults.append(Fault(status))

        assert await sender.send([message()], Deadline()) == [TryLater(f"HTTP {status}")]

    @pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data": "ok"}', b"null", b"{}"])
    async def test_answer_that_cannot_be_read_decides_nothing(
        self, sender: PushSender, push_service: PushService, body: bytes
    ) -> None:
        push_service.faults.append(Fault(body=body))

        outcomes = await sender.send([message()], Deadline())

        assert outcomes == [TryLater("UnreadableAnswer", may_have_arrived=True)]

    async def test_short_list_of_tickets_leaves_the_rest_undecided(
        self, sender: PushSender, push_service: PushService
    ) -> None:
        push_service.faults.append(Fault(missing_tickets=2))

        outcomes = await sender.send([message() for _ in range(3)], Deadline())

        assert isinstance(outcomes[0], Accepted)
        assert outcomes[1:] == [TryLater("NoTicket", may_have_arrived=True)] * 2

    @soon
    async def test_service_that_does_not_answer_decides_nothing(
        self, sender: PushSender, push_service: PushService
    ) -> None:
        push_service.faults.append(Fault(hangs=True))

        assert await sender.send([message()], Deadline()) == [TryLater("TimeoutError", may_have_arrived=True)]

    async def test_message_that_spoils_its_request_is_refused_alone(
        self, sender: PushSender, push_service: PushService
    ) -> None:
        messages = [message() for _ in range(7)]
        push_service.unreadable.add(messages[4].token)

        outcomes = await sender.send(messages, Deadline())

        assert outcomes[4] == BadMessage("VALIDATION_ERROR")
        assert push_service.tokens == [m.token for i, m in enumerate(messages) if i != 4]
        assert all(isinstance(outcome, Accepted) for i, outcome in enumerate(outcomes) if i != 4)

    async def test_receipts_are_sorted_and_unknown_ones_left_out(
        self, sender: ExpoClient | ScriptedSender, push_service: PushService
    ) -> None:
        push_service.receipts = {
            "a": {"status": "ok"},
            "b": {"status": "error", "details": {"error": "DeviceNotRegistered"}},
            "c": {"status": "error", "details": {"error": "InvalidCredentials"}},
        }

        receipts = await sender.fetch_receipts(["a", "b", "c", "d"])

        assert isinstance(receipts.pop("a"), Accepted)
        assert receipts == {"b": DeadToken("DeviceNotRegistered"), "c": BadMessage("InvalidCredentials")}


async def test_large_requests_are_compressed_and_carry_the_access_token(
    wire: ExpoClient, push_service: PushService
) -> None:
    await wire.send([message() for _ in range(100)], Deadline())

    [headers] = push_service.headers
    assert headers["content-encoding"] == "gzip"
    assert headers["authorization"] == "Bearer expo-secret"
    assert push_service.batches == [100]


async def test_cookie_that_expo_sets_is_not_sent_back(push_service: PushService) -> None:
    push_service.faults.append(Fault(body=b'{"data": []}', headers={"Set-Cookie": "seen=before; Path=/"}))
    async with serving(expo_application(push_service)) as served:
        # No client keeps the cookies of a bare address.
        base_url = served.replace("127.0.0.1", "localhost")
        async with open_http(base_url) as http:
            client = ExpoClient(
                http, base_url=base_url, access_token=None, rate=None, next_probe=PUSH_PROBES.next_at
            )
            for _ in range(2):
                await client.send([message()], Deadline())

    assert ["cookie" in headers for headers in push_service.headers] == [False, False]


@pytest.mark.parametrize("scheme", ["", "http://"])
async def test_expo_is_asked_through_the_proxy_of_the_environment(
    push_service: PushService, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """Other programs take its address without a scheme too."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    # A server that is asked for addresses of another host is what a proxy is for plain HTTP.
    async with serving(expo_application(push_service)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.replace("http://", scheme))
        async with open_http("http://expo.invalid") as http:
            client = ExpoClient(
                http,
                base_url="http://expo.invalid",
                access_token=None,
                rate=None,
                next_probe=PUSH_PROBES.next_at,
            )
            [outcome] = await client.send([message()], Deadline())

    assert isinstance(outcome, Accepted)
    assert [headers["host"] for headers in push_service.headers] == ["expo.invalid"]


async def test_half_that_was_taken_is_not_lost_when_the_other_half_fails(
    wire: ExpoClient, push_service: PushService
) -> None:
    messages = [message(), message()]
    refused = Fault(400, body=b'{"errors": [{"code": "PUSH_TOO_MANY_EXPERIENCE_IDS"}]}')
    push_service.faults.extend([refused, Fault(), Fault(503)])

    first, second = await wire.send(messages, Deadline())

    assert isinstance(first, Accepted)
    assert second == TryLater("HTTP 503", may_have_arrived=True)


async def test_refusal_of_a_message_ends_a_row_of_failures(
    wire: ExpoClient, push_service: PushService
) -> None:
    """It is an answer: with the next failure Expo was taken to refuse everything."""
    refused = Fault(400, body=b'{"errors": [{"code": "VALIDATION_ERROR"}]}')
    push_service.faults.extend([*[Fault(503)] * (OPEN_AFTER - 1), refused, Fault(503)])

    *_, bad, _, last = [(await wire.send([message()], Deadline()))[0] for _ in range(OPEN_AFTER + 2)]

    assert bad == BadMessage("VALIDATION_ERROR")
    assert isinstance(last, Accepted)


async def test_no_more_sends_are_under_way_than_the_service_wants(
    wire: ExpoClient, push_service: PushService
) -> None:
    push_service.may_answer.clear()

    async with asyncio.TaskGroup() as group:
        sending = [
            group.create_task(wire.send([message()], Deadline())) for _ in range(MAX_PARALLEL_SENDS + 3)
        ]
        await eventually(lambda: push_service.open_sends >= MAX_PARALLEL_SENDS)
        # What had been sent beside them would have arrived before this.
        await wire.fetch_receipts(["ticket"])
        push_service.may_answer.set()

    assert all(isinstance(task.result()[0], Accepted) for task in sending)
    assert push_service.most_open_sends == MAX_PARALLEL_SENDS


@soon
async def test_answer_that_trickles_is_given_up(wire: ExpoClient, push_service: PushService) -> None:
    """Such a response would outlast the lease of its pushes."""
    push_service.faults.append(Fault(trickles=True))

    assert await wire.send([message()], Deadline()) == [TryLater("TimeoutError", may_have_arrived=True)]


@pytest.mark.parametrize("packing", ["identity", "gzip"])
async def test_answer_without_end_is_not_read_to_its_end(
    wire: ExpoClient, push_service: PushService, packing: str
) -> None:
    endless = b'{"data": []}' + b" " * 5_000_000
    body = gzip.compress(endless, compresslevel=1) if packing == "gzip" else endless
    push_service.faults.append(Fault(body=body, headers={"Content-Encoding": packing}))

    assert await wire.send([message()], Deadline()) == [TryLater("UnreadableAnswer", may_have_arrived=True)]


@pytest.mark.parametrize("text", [r"\u0000", r"a\nb", "x" * 129])
async def test_ticket_or_reason_that_cannot_be_kept_is_none(
    wire: ExpoClient, push_service: PushService, text: str
) -> None:
    """Storing it would make the settling of a whole claim fail, again and again."""
    tickets = f'{{"status": "ok", "id": "{text}"}}, {{"status": "error", "details": {{"error": "{text}"}}}}'
    push_service.faults.append(Fault(body=f'{{"data": [{tickets}]}}'.encode()))

    accepted, refused = await wire.send([message() for _ in range(2)], Deadline())

    assert accepted == Accepted(None)
    assert refused == BadMessage("x" * 64 if text.startswith("x") else "UnknownError")


async def test_unreachable_service_decides_nothing() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    async with open_http(url) as http:
        client = ExpoClient(http, base_url=url, access_token=None, rate=None, next_probe=PUSH_PROBES.next_at)
        assert await client.send([message()], Deadline()) == [TryLater("ClientConnectorError")]


@pytest.mark.parametrize("character", ["x", "é", "😀", "\n", '"', "\u2028"])
@pytest.mark.parametrize("limit", [200, 1000, 4096])
def test_too_long_message_is_shortened_by_its_body(character: str, limit: int) -> None:
    short = shorten(message(body=character * 5000), max_bytes=limit)

    size = len(orjson.dumps(short.content()))
    assert limit - 300 < size <= limit
    assert short.body.endswith("…")
    assert short.title == "Taskbeacon"


async def test_message_too_large_for_its_buttons_goes_without(
    wire: ExpoClient, push_service: PushService
) -> None:
    action = PushAction("allow", "\N{HAMMER}" * 255, "Allow", "tba_x" * 200, None)
    style = PushStyle(urgency=Urgency.NORMAL, ttl_seconds=60, actions=[action] * 3)

    await wire.send([replace(message(), style=style)], Deadline())

    [received] = push_service.received
    assert received["body"] == message().body
    assert "categoryId" not in received
    assert "actions" not in received["data"]


def test_message_that_fits_stays_as_it_is() -> None:
    sent = message()
    assert shorten(sent, max_bytes=4096) is sent


async def test_pace_holds_over_all_processes(redis: RedisClient) -> None:
    """Two processes that share a limit wait for each other, without a burst at the turn of a second."""
    first, second = (SendRate(redis, "pace:test", per_second=1000) for _ in range(2))
    await first.take(50, Deadline())
    started = await redis.time()

    await second.take(50, Deadline())
    await first.take(50, Deadline())

    ended = await redis.time()
    elapsed = (ended[0] - started[0]) + (ended[1] - started[1]) / 1_000_000
    assert 0.08 < elapsed < 30


async def test_pace_reserves_nothing_for_those_who_cannot_wait_so_long(redis: RedisClient) -> None:
    rate = SendRate(redis, "pace:test", per_second=1)
    assert await rate.take(100, Deadline())
    reserved = await redis.get("pace:test")

    assert not await rate.take(1, Deadline(50))

    assert await redis.get("pace:test") == reserved


async def test_who_comes_after_the_deadline_reserves_nothing(redis: RedisClient) -> None:
    assert not await SendRate(redis, "pace:test", per_second=1).take(100, Deadline(0))
    assert await redis.get("pace:test") is None


async def test_waiting_for_the_pace_ends_with_the_deadline(redis: RedisClient) -> None:
    rate = SendRate(redis, "pace:test", per_second=1)
    await rate.take(100, Deadline())
    reserved = await redis.get("pace:test")
    deadline = Deadline()
    waiting = asyncio.create_task(rate.take(1, deadline))

    async def waits() -> bool:
        return bool(await redis.get("pace:test") != reserved)

    await eventually(waits)
    deadline.expire()

    assert not await waiting


async def test_who_waits_for_the_pace_takes_no_slot_of_who_cannot_wait(
    redis: RedisClient, push_service: PushService
) -> None:
    rate = SendRate(redis, "pace:test", per_second=1)
    await rate.take(100, Deadline())
    reserved = await redis.get("pace:test")
    patient = Deadline()

    async def wait() -> bool:
        return int(await redis.get("pace:test")) >= int(reserved) + MAX_PARALLEL_SENDS * 1_000_000

    async with serving(expo_application(push_service)) as url, open_http(url) as http:
        client = ExpoClient(http, base_url=url, access_token=None, rate=rate, next_probe=PUSH_PROBES.next_at)
        waiting = [asyncio.create_task(client.send([message()], patient)) for _ in range(MAX_PARALLEL_SENDS)]
        await eventually(wait)
        async with asyncio.timeout(30):
            assert await client.send([message()], Deadline(50)) == [NOT_REACHED]
        patient.expire()
        assert await asyncio.gather(*waiting) == [[NOT_REACHED]] * MAX_PARALLEL_SENDS
    assert push_service.tokens == []


async def test_pace_lets_messages_through_while_redis_is_away() -> None:
    async with aclosing(create_redis("redis://127.0.0.1:1/0")) as redis:
        assert await SendRate(redis, "pace:test", per_second=1).take(1000, Deadline())


def test_token_is_not_in_the_representation_of_a_message() -> None:
    sent = message()
    assert sent.token not in repr(sent)
