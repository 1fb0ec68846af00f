"""One connection for all followers in a process: no event is missed or repeated, and no follower delays another."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import orjson
import pytest

from app.clients.live_events import run_followers
from app.clients.live_events.event_hub import EventHub
from app.clients.live_events.run_event_publisher import RunEvents
from app.clients.live_events.run_event_stream import channel_of, stream_keys
from app.clients.live_events.run_events import EventKind, RunEvent
from app.clients.live_events.run_followers import Subscription
from app.clients.redis import RedisClient
from app.ids import new_id
from app.services.retrying.policies import LIVE_EVENTS_SECONDS
from tests.support.stand_ins.outage import Interruptible
from tests.support.waiting import eventually
from tests.support.web.streams import follower_count


async def no_ends(_run_ids: Collection[UUID]) -> Mapping[UUID, bytes | None]:
    return {}


@pytest.fixture
async def hub(redis: RedisClient) -> AsyncGenerator[EventHub, None]:
    hub = EventHub(redis, no_ends, pause=LIVE_EVENTS_SECONDS)
    yield hub
    await hub.aclose()


@pytest.fixture
async def distant_hub(distant: RedisClient) -> AsyncGenerator[EventHub, None]:
    hub = EventHub(distant, no_ends, pause=0)
    yield hub
    await hub.aclose()


@pytest.fixture
def events(redis: RedisClient) -> RunEvents:
    return RunEvents(redis, pause=LIVE_EVENTS_SECONDS)


async def say(events: RunEvents, run_id: UUID, *numbers: int, size: int = 0) -> None:
    for number in numbers:
        events.put(run_id, orjson.dumps({"n": number, "x": "x" * size}))
    await events.settle()


async def take(follower: Subscription, count: int) -> list[RunEvent]:
    taken: list[RunEvent] = []
    while len(taken) < count:
        got = await follower.take(within=60)
        assert got, f"only {len(taken)} of {count} events came"
        taken += got
    return taken


def numbers(events: list[RunEvent]) -> list[int]:
    return [orjson.loads(event.data)["n"] for event in events]


async def start(follower: Subscription) -> None:
    assert await follower.is_connected(within=60)
    follower.collect(after=None)


async def subscription_count(redis: RedisClient, run_id: UUID) -> int:
    [(_, count)] = await redis.pubsub_numsub(channel_of(run_id))
    return int(count)


async def has_subscriptions(redis: RedisClient, run_id: UUID, count: int) -> bool:
    return await subscription_count(redis, run_id) == count


async def test_followers_get_the_same_events_in_the_same_order(
    hub: EventHub, events: RunEvents, run_id: UUID
) -> None:
    async with hub.follow(run_id) as one, hub.follow(run_id) as two, hub.follow(new_id()) as other:
        for follower in (one, two, other):
            await start(follower)
        await say(events, run_id, *range(20))

        first, second = await take(one, 20), await take(two, 20)

        assert numbers(first) == list(range(20))
        # Encoded once for all.
        assert all(a.frame is b.frame for a, b in zip(first, second, strict=True))
        assert await other.take(within=0.01) == []


async def test_all_followers_share_one_connection(hub: EventHub, redis: RedisClient, run_id: UUID) -> None:
    others = [new_id() for _ in range(20)]
    # Redis may take a moment to notice the end of one of an earlier test.
    await eventually(lambda: has_subscribers(redis, 0))
    async with AsyncExitStack() as stack:
        for each in [run_id] * 30 + others:
            await start(await stack.enter_async_context(hub.follow(each)))

        assert follower_count(hub) == 50
        assert await has_subscribers(redis, 1)
        assert await subscription_count(redis, run_id) == 1

    assert follower_count(hub) == 0
    await eventually(lambda: has_subscriptions(redis, run_id, 0))


async def has_subscribers(redis: RedisClient, count: int) -> bool:
    """Return whether so many connections to our database are subscribed to something."""
    database = redis.connection_pool.connection_kwargs["db"]
    clients = await redis.client_list()
    subscribed = [client for client in clients if int(client["sub"]) and int(client["db"]) == database]
    return len(subscribed) == count


async def test_run_that_was_left_is_followed_again(hub: EventHub, events: RunEvents, run_id: UUID) -> None:
    for number in range(3):
        async with hub.follow(run_id) as follower:
            await start(follower)
            await say(events, run_id, number)
            assert numbers(await take(follower, number + 1))[-1] == number


async def test_follower_that_does_not_keep_up_is_cut_off_and_the_others_are_not(
    hub: EventHub, events: RunEvents, run_id: UUID
) -> None:
    async with hub.follow(run_id) as slow, hub.follow(run_id) as quick:
        await start(slow)
        await start(quick)
        got: list[RunEvent] = []
        batch = 100
        for round_ in range(run_followers.MAX_QUEUED_EVENTS // batch + 1):
            await say(events, run_id, *range(round_ * batch, (round_ + 1) * batch))
            got += await take(quick, batch)

        assert slow.is_over
        assert await slow.take(within=60) == []
        assert numbers(got) == list(range(len(got)))
        assert not quick.is_over


async def test_follower_is_cut_off_by_size_too(hub: EventHub, events: RunEvents, run_id: UUID) -> None:
    async with hub.follow(run_id) as slow:
        await start(slow)
        await say(events, run_id, *range(40), size=60_000)

        await eventually(lambda: slow.is_over)


class TestOutage:
    async def test_what_was_said_meanwhile_is_caught_up(
        self,
        distant_hub: EventHub,
        redis: RedisClient,
        server: Interruptible,
        events: RunEvents,
        run_id: UUID,
    ) -> None:
        async with distant_hub.follow(run_id) as follower:
            await start(follower)
            await say(events, run_id, 0, 1)
            got = await take(follower, 2)
            await server.refuse()
            await say(events, run_id, *range(2, 600))
            await server.resume()

            await eventually(lambda: has_subscriptions(redis, run_id, 1))
            await say(events, run_id, *range(600, 610))
            got += await take(follower, 608)

        assert numbers(got) == list(range(610))

    async def test_first_event_of_all_is_caught_up_too(
        self, distant_hub: EventHub, server: Interruptible, events: RunEvents, run_id: UUID
    ) -> None:
        async with distant_hub.follow(run_id) as follower:
            await start(follower)
            await server.refuse()
            await say(events, run_id, 0, 1)
            await server.resume()

            assert numbers(await take(follower, 2)) == [0, 1]

    async def test_emptied_redis_is_another_beginning(
        self, hub: EventHub, redis: RedisClient, events: RunEvents, run_id: UUID
    ) -> None:
        async with hub.follow(run_id) as follower:
            await start(follower)
            await say(events, run_id, 0, 1)
            before = await take(follower, 2)
            await redis.flushdb()
            await say(events, run_id, 2)
            [after] = await take(follower, 1)

        assert after.id
        assert before[0].id
        assert after.id.epoch > before[0].id.epoch

    async def test_follower_may_come_while_redis_is_away(
        self, distant_hub: EventHub, server: Interruptible, events: RunEvents, run_id: UUID
    ) -> None:
        await server.refuse()
        async with distant_hub.follow(run_id) as follower:
            assert not await follower.is_connected(within=0.1)
            await server.resume()
            await start(follower)
            await say(events, run_id, 1)
            assert numbers(await take(follower, 1)) == [1]


class TestEnd:
    async def test_closing_ends_all_and_those_to_come(self, hub: EventHub, run_id: UUID) -> None:
        async with hub.follow(run_id) as follower:
            await start(follower)
            waiting = asyncio.create_task(follower.take(within=60))
            hub.end_all()
            assert await waiting == []
            assert follower.is_over
            async with hub.follow(run_id) as late:
                assert late.is_over
                assert not await late.is_connected(within=60)

    async def test_end_that_was_not_heard_of_is_found_in_the_rows(
        self, redis: RedisClient, run_id: UUID
    ) -> None:
        gone = new_id()
        asked: list[set[UUID]] = []

        async def look_up(run_ids: Collection[UUID]) -> Mapping[UUID, bytes | None]:
            asked.append(set(run_ids))
            if len(asked) == 1:
                raise RuntimeError("once only")
            return {run_id: b'{"n":1}', gone: None}

        hub = EventHub(redis, look_up, look_seconds=0.05, pause=LIVE_EVENTS_SECONDS)
        async with hub.follow(run_id) as follower, hub.follow(gone) as orphan:
            await start(follower)
            gap, event = await take(follower, 2)
            assert (gap.id, gap.kind, gap.data) == (None, EventKind.GAP, b'{"lost":null}')
            assert (event.id, event.kind, event.frame) == (None, EventKind.ENDED, b'data: {"n":1}\n\n')
            assert await orphan.take(within=60) == []
            assert orphan.is_over
        assert {run_id, gone} in asked
        await hub.aclose()


async def test_events_of_which_no_message_came_precede_the_end_that_is_found_in_the_rows(
    redis: RedisClient, events: RunEvents, run_id: UUID
) -> None:
    """Followers got the end alone: for half a minute nothing tells that a server has fallen silent."""
    is_over = asyncio.Event()

    async def look_up(run_ids: Collection[UUID]) -> Mapping[UUID, bytes | None]:
        return dict.fromkeys(run_ids, b"{}") if is_over.is_set() else {}

    hub = EventHub(redis, look_up, look_seconds=0.05, pause=LIVE_EVENTS_SECONDS)
    async with hub.follow(run_id) as follower:
        await start(follower)
        await say(events, run_id, 1)
        [first] = await take(follower, 1)
        assert first.id
        for number, kind in ((2, EventKind.ENTRY), (3, EventKind.ENDED)):
            fields: dict[Any, Any] = {"kind": kind, "data": b'{"n":%d}' % number, "bytes": 0}
            await redis.xadd(stream_keys(run_id)[0], fields, id=str(first.id._replace(number=number)))
        is_over.set()
        assert numbers(await take(follower, 2)) == [2, 3]
        # Told once: the next thing that comes is the end of the follower.
        await hub.aclose()
        assert await follower.take(within=60) == []


async def test_subscription_that_was_lost_with_its_connection_is_asked_for_by_the_next_follower(
    distant_hub: EventHub,
    server: Interruptible,
    events: RunEvents,
    run_id: UUID,
) -> None:
    """The library reconnects by itself, and knows only of subscriptions that were made before."""
    async with distant_hub.follow(new_id()) as other:
        await start(other)
        server.deafen()
        async with distant_hub.follow(run_id) as one:
            await eventually(lambda: server.has_lost)
            await server.resume()
            async with distant_hub.follow(run_id) as two:
                for follower in (one, two):
                    await start(follower)
                await say(events, run_id, 1)
                assert numbers(await take(one, 1)) == numbers(await take(two, 1)) == [1]


async def test_subscription_that_was_lost_is_asked_for_at_the_next_look(
    distant: RedisClient, server: Interruptible, run_id: UUID
) -> None:
    hub = EventHub(distant, no_ends, look_seconds=0.2, pause=0)
    async with hub.follow(new_id()) as other:
        await start(other)
        server.deafen()
        async with hub.follow(run_id) as one:
            await eventually(lambda: server.has_lost)
            await server.resume()
            await start(one)
    await hub.aclose()


async def test_follower_who_comes_while_the_last_one_leaves_stays_subscribed(
    hub: EventHub, redis: RedisClient, events: RunEvents, run_id: UUID
) -> None:
    async def come_and_go() -> None:
        async with hub.follow(run_id) as follower:
            await start(follower)

    async with hub.follow(new_id()) as other:
        await start(other)
        for _ in range(20):
            await asyncio.gather(*(come_and_go() for _ in range(3)))
        async with hub.follow(run_id) as last:
            await start(last)
            await say(events, run_id, 1)
            assert numbers(await take(last, 1)) == [1]
            assert await subscription_count(redis, run_id) == 1
