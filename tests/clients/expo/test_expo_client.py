"""The client of Expo, and the sender in memory that is held to the same behaviour (contract 7.2)."""

import asyncio
import gzip

import pytest

from app.clients.expo.expo_client import MAX_PARALLEL_SENDS, ExpoClient, open_http
from app.clients.expo.send_rate import SendRate
from app.clients.pushes.push import (
    NOT_REACHED,
    Accepted,
    BadMessage,
    Deadline,
    DeadToken,
    PushSender,
    TryLater,
)
from app.clients.pushes.push_circuit import OPEN_AFTER
from app.clients.redis import RedisClient
from app.services.retrying.policies import PUSH_PROBES
from tests.support.deployment.processes import closed_port
from tests.support.stand_ins.push import Fault, PushService, ScriptedSender, expo_application, push_message
from tests.support.waiting import eventually
from tests.support.web.serving import serving

soon = pytest.mark.parametrize("seconds", [0.5])


class TestAnySender:
    async def test_outcomes_stand_at_the_positions_of_their_messages(
        self, sender: PushSender, push_service: PushService
    ) -> None:
        messages = [push_message() for _ in range(4)]
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
        assert await sender.send([push_message(), push_message()], Deadline(0)) == [NOT_REACHED] * 2
        assert push_service.received == []

    @soon
    async def test_service_that_does_not_answer_decides_nothing(
        self, sender: PushSender, push_service: PushService
    ) -> None:
        push_service.faults.append(Fault(hangs=True))

        assert await sender.send([push_message()], Deadline()) == [
            TryLater("TimeoutError", may_have_arrived=True)
        ]

    async def test_message_that_spoils_its_request_is_refused_alone(
        self, sender: PushSender, push_service: PushService
    ) -> None:
        messages = [push_message() for _ in range(7)]
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
    await wire.send([push_message() for _ in range(100)], Deadline())

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
                await client.send([push_message()], Deadline())

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
            [outcome] = await client.send([push_message()], Deadline())

    assert isinstance(outcome, Accepted)
    assert [headers["host"] for headers in push_service.headers] == ["expo.invalid"]


async def test_half_that_was_taken_is_not_lost_when_the_other_half_fails(
    wire: ExpoClient, push_service: PushService
) -> None:
    messages = [push_message(), push_message()]
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

    *_, bad, _, last = [(await wire.send([push_message()], Deadline()))[0] for _ in range(OPEN_AFTER + 2)]

    assert bad == BadMessage("VALIDATION_ERROR")
    assert isinstance(last, Accepted)


async def test_no_more_sends_are_under_way_than_the_service_wants(
    wire: ExpoClient, push_service: PushService
) -> None:
    push_service.may_answer.clear()

    async with asyncio.TaskGroup() as group:
        sending = [
            group.create_task(wire.send([push_message()], Deadline())) for _ in range(MAX_PARALLEL_SENDS + 3)
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

    assert await wire.send([push_message()], Deadline()) == [TryLater("TimeoutError", may_have_arrived=True)]


@pytest.mark.parametrize("packing", ["identity", "gzip"])
async def test_answer_without_end_is_not_read_to_its_end(
    wire: ExpoClient, push_service: PushService, packing: str
) -> None:
    endless = b'{"data": []}' + b" " * 5_000_000
    body = gzip.compress(endless, compresslevel=1) if packing == "gzip" else endless
    push_service.faults.append(Fault(body=body, headers={"Content-Encoding": packing}))

    assert await wire.send([push_message()], Deadline()) == [
        TryLater("UnreadableAnswer", may_have_arrived=True)
    ]


async def test_unreachable_service_decides_nothing() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    async with open_http(url) as http:
        client = ExpoClient(http, base_url=url, access_token=None, rate=None, next_probe=PUSH_PROBES.next_at)
        assert await client.send([push_message()], Deadline()) == [TryLater("ClientConnectorError")]


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
        waiting = [
            asyncio.create_task(client.send([push_message()], patient)) for _ in range(MAX_PARALLEL_SENDS)
        ]
        await eventually(wait)
        async with asyncio.timeout(30):
            assert await client.send([push_message()], Deadline(50)) == [NOT_REACHED]
        patient.expire()
        assert await asyncio.gather(*waiting) == [[NOT_REACHED]] * MAX_PARALLEL_SENDS
    assert push_service.tokens == []
