"""The stream of a run's events in Redis: what is written to it, in which order, and what an outage costs."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from app.clients.live_events.run_event_publisher import RunEvents
from app.clients.live_events.run_event_stream import (
    MAX_EVENTS,
    MAX_STREAM_BYTES,
    channel_of,
    parse_message,
    read_ends,
    read_events,
    stream_keys,
)
from app.clients.live_events.run_events import MAX_EVENT_BYTES, EventId, EventKind, RunEvent
from app.clients.redis import RedisClient, create_redis
from app.devstack.processes import Supervisor
from app.devstack.servers.embedded_servers import Valkey
from app.ids import new_id
from app.services.retrying.policies import LIVE_EVENTS_SECONDS
from tests.support.deployment.processes import free_port
from tests.support.stand_ins.fakes import RecordingEvents
from tests.support.stand_ins.outage import Interruptible
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow
Events = list[tuple[EventKind, Any]]
ReadEvents = Callable[[UUID], Awaitable[Events]]


@pytest.fixture
def events(redis: RedisClient) -> RunEvents:
    return RunEvents(redis, pause=LIVE_EVENTS_SECONDS)


def line(number: int, size: int = 0) -> bytes:
    return orjson.dumps({"n": number, "x": "x" * size})


async def write(events: RunEvents, run_id: UUID, *lines: bytes) -> None:
    """Put these lines and wait until they were sent, or cannot be for now."""
    for each in lines:
        events.put(run_id, each)
    await events.settle()


async def all_of(redis: RedisClient, run_id: UUID) -> list[RunEvent]:
    return await read_events(redis, run_id, after=None, count=100_000)


async def numbers(redis: RedisClient, run_id: UUID) -> list[int]:
    return [orjson.loads(event.data)["n"] for event in await all_of(redis, run_id)]


async def has_event(redis: RedisClient, run_id: UUID, number: int) -> bool:
    return number in await numbers(redis, run_id)


class TestEveryPublisher:
    """Promises of every publisher, so that the recording one of the tests cannot drift from the real one."""

    @pytest.fixture(params=["recording", "redis"])
    def publisher_and_reader(
        self, request: pytest.FixtureRequest, redis: RedisClient
    ) -> tuple[RunEvents, ReadEvents]:
        """A publisher, and the kinds and contents of the events of a run, oldest first."""
        if request.param == "recording":
            recording = RecordingEvents()

            async def recorded(run_id: UUID) -> Events:
                return [(kind, data) for owner, kind, data in recording.published if owner == run_id]

            return recording, recorded

        async def in_redis(run_id: UUID) -> Events:
            return [(event.kind, orjson.loads(event.data)) for event in await all_of(redis, run_id)]

        return RunEvents(redis, pause=LIVE_EVENTS_SECONDS), in_redis

    @pytest.fixture
    def publisher(self, publisher_and_reader: tuple[RunEvents, ReadEvents]) -> RunEvents:
        return publisher_and_reader[0]

    @pytest.fixture
    def published(self, publisher_and_reader: tuple[RunEvents, ReadEvents]) -> ReadEvents:
        return publisher_and_reader[1]

    async def test_events_of_one_writer_keep_their_order(
        self, publisher: RunEvents, published: ReadEvents, run_id: UUID
    ) -> None:
        other = new_id()
        for n in range(1200):
            publisher.put(run_id if n % 3 else other, line(n))

        await publisher.settle()

        assert [data["n"] for _, data in await published(run_id)] == [n for n in range(1200) if n % 3]
        assert [data["n"] for _, data in await published(other)] == list(range(0, 1200, 3))

    async def test_kind_and_content_are_kept(
        self, publisher: RunEvents, published: ReadEvents, run_id: UUID
    ) -> None:
        publisher.put(run_id, b'{"status":"queued"}', kind=EventKind.OPENED)
        publisher.put(run_id, b'{"a":"b c"}')

        await publisher.settle()

        assert await published(run_id) == [
            (EventKind.OPENED, {"status": "queued"}),
            (EventKind.ENTRY, {"a": "b c"}),
        ]

    async def test_settles_with_nothing_to_send(
        self, publisher: RunEvents, published: ReadEvents, run_id: UUID
    ) -> None:
        await publisher.settle()

        assert await published(run_id) == []


async def test_nothing_is_lost_at_the_close(redis: RedisClient, run_id: UUID) -> None:
    publisher = RunEvents(redis, pause=LIVE_EVENTS_SECONDS)
    await publisher.aclose()
    for n in range(3):
        publisher.put(run_id, line(n))

    await publisher.aclose()

    assert [orjson.loads(event.data)["n"] for event in await all_of(redis, run_id)] == [0, 1, 2]


async def test_events_are_numbered_from_one_without_holes_by_any_writer(
    redis: RedisClient, run_id: UUID
) -> None:
    writers = [RunEvents(redis, pause=LIVE_EVENTS_SECONDS) for _ in range(3)]

    async def write(writer: RunEvents) -> None:
        for n in range(50):
            writer.put(run_id, line(n))
            if n % 7 == 0:
                await writer.settle()
        await writer.settle()

    await asyncio.gather(*map(write, writers))

    events = await all_of(redis, run_id)
    assert [event.id.number for event in events if event.id] == list(range(1, 151))
    assert len({event.id.epoch for event in events if event.id}) == 1


async def test_what_is_published_is_what_is_kept(redis: RedisClient, events: RunEvents, run_id: UUID) -> None:
    async with redis.pubsub(ignore_subscribe_messages=True) as subscription:
        await subscription.subscribe(channel_of(run_id))
        events.put(run_id, b'{"a":"b c"}', kind=EventKind.OPENED)
        events.put(run_id, line(2))
        messages: list[RunEvent] = []
        async with asyncio.timeout(120):
            while len(messages) < 2:
                message = await subscription.get_message(timeout=1)
                messages += [parse_message(message["data"])] if message else []

    assert messages == await all_of(redis, run_id)
    assert [event.kind for event in messages] == [EventKind.OPENED, EventKind.ENTRY]
    assert messages[0].frame == b'id: %b\ndata: {"a":"b c"}\n\n' % str(messages[0].id).encode()


async def test_old_events_are_trimmed_by_number(redis: RedisClient, events: RunEvents, run_id: UUID) -> None:
    for n in range(MAX_EVENTS * 2):
        await write(events, run_id, line(n))

    ends = await read_ends(redis, run_id)

    assert ends is not None
    first, last = (event.id for event in ends)
    assert first
    assert last
    assert last.number == MAX_EVENTS * 2
    # Redis trims whole blocks of entries.
    assert MAX_EVENTS <= last.number - first.number + 1 < MAX_EVENTS + 200


async def test_old_events_are_trimmed_by_size(redis: RedisClient, events: RunEvents, run_id: UUID) -> None:
    size = MAX_EVENT_BYTES - 100
    for n in range(2 * MAX_STREAM_BYTES // size):
        await write(events, run_id, line(n, size))

    kept = await all_of(redis, run_id)

    assert MAX_STREAM_BYTES * 3 // 4 < sum(len(event.data) for event in kept) <= MAX_STREAM_BYTES + size


async def test_event_that_is_too_large_is_replaced(
    redis: RedisClient, events: RunEvents, run_id: UUID
) -> None:
    large = line(1, MAX_EVENT_BYTES)
    await write(events, run_id, large)

    [event] = await all_of(redis, run_id)

    assert event.kind is EventKind.OMITTED
    assert orjson.loads(event.data) == {"type": "omitted", "bytes": len(large)}


async def test_streams_do_not_stay_for_ever(redis: RedisClient, events: RunEvents, run_id: UUID) -> None:
    await write(events, run_id, line(1))

    for key in stream_keys(run_id):
        assert 86_000 < await redis.ttl(key) <= 86_400


async def test_stream_in_an_emptied_redis_is_another_one(
    redis: RedisClient, events: RunEvents, run_id: UUID
) -> None:
    """Scripts are gone as well, as after a restart."""
    await write(events, run_id, line(1))
    [before] = await all_of(redis, run_id)
    await redis.flushdb()
    await redis.script_flush()

    await write(events, run_id, line(2))

    [after] = await all_of(redis, run_id)
    assert before.id
    assert after.id
    assert after.id.epoch > before.id.epoch
    assert after.id.number == 1


async def test_stream_in_a_redis_that_lacks_what_it_has_answered_goes_on_as_another_one(
    redis: RedisClient, events: RunEvents, run_id: UUID
) -> None:
    """A replica that was promoted before it had all: followers took the next events for those that they had seen."""
    await write(events, run_id, line(1))
    copied = {key: await redis.dump(key) for key in stream_keys(run_id)}
    await write(events, run_id, line(2), line(3))
    for key, value in copied.items():
        await redis.restore(key, 0, value, replace=True)

    await write(events, run_id, line(4))
    await write(events, run_id, line(5))

    first, *after = [event.id for event in await all_of(redis, run_id)]
    assert first
    assert all(id_ and id_.epoch > first.epoch for id_ in after)
    assert [id_.number for id_ in after if id_] == [1, 2]


async def test_streams_that_began_within_a_millisecond_differ(
    redis: RedisClient, events: RunEvents, run_id: UUID
) -> None:
    """Followers took the events of the second for old ones."""
    epochs = []
    for _ in range(20):
        await redis.flushdb()
        await write(events, run_id, line(1))
        [event] = await all_of(redis, run_id)
        assert event.id is not None
        epochs.append(event.id.epoch)

    assert epochs == sorted(set(epochs))


async def test_event_that_always_fails_delays_no_other_run(
    redis: RedisClient, events: RunEvents, run_id: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: the batch with it was repeated for ever, and what did not fit into that batch was never sent.

    Then each event of the run was an error in the log.
    """
    other = new_id()
    await redis.set(stream_keys(run_id)[0], "not a stream")
    events.put(run_id, line(1))
    for n in range(600):
        events.put(other, line(n))

    await eventually(lambda: has_event(redis, other, 599), within_seconds=20)
    await write(events, run_id, line(2))
    assert caplog.text.count("run_events.refused") == 1
    await redis.delete(stream_keys(run_id)[0])
    await write(events, run_id, line(3))

    gap, after = await all_of(redis, run_id)
    assert (gap.kind, orjson.loads(gap.data)) == (EventKind.GAP, {"type": "gap", "lost": 2})
    assert orjson.loads(after.data)["n"] == 3
    assert await numbers(redis, other) == list(range(600))


@pytest.fixture
async def own_server(tmp_path: Path) -> AsyncGenerator[RedisClient, None]:
    """A client of a Valkey of this test alone, whose folder is `tmp_path`."""
    server = Valkey(tmp_path, free_port(), durable=False)
    with Supervisor() as supervisor:
        server.start(supervisor, tmp_path / "log")
        supervisor.wait(server.is_ready, what="Valkey", timeout=60)
        client = create_redis(server.url)
        yield client
        await client.aclose()


async def test_events_wait_for_a_redis_that_refuses_writes(
    own_server: RedisClient, tmp_path: Path, run_id: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: with a full disk, events became a gap after three errors, and each of them an error in the log."""
    events = RunEvents(own_server, pause=0.01)

    async def save(status: str) -> None:
        await own_server.bgsave()
        await eventually(lambda: has_saved(status))

    async def has_saved(status: str) -> bool:
        state = await own_server.info("persistence")
        return not state["rdb_bgsave_in_progress"] and state["rdb_last_bgsave_status"] == status

    async def refusals() -> int:
        state = await own_server.info("errorstats")
        return int(state.get("errorstat_MISCONF", {"count": 0})["count"])

    async def is_refused_more_than(count: int) -> bool:
        return await refusals() > count

    await own_server.config_set("save", "3600 1")
    (tmp_path / "dump.rdb").mkdir()  # which no file can replace
    await save("err")
    for n in range(6):
        before = await refusals()
        await write(events, run_id, line(n))
        await eventually(partial(is_refused_more_than, before))
    (tmp_path / "dump.rdb").rmdir()
    await save("ok")
    await write(events, run_id, line(6))

    await eventually(lambda: has_event(own_server, run_id, 6))
    assert await numbers(own_server, run_id) == list(range(7))
    assert caplog.text.count("run_events.not_sent") == 1
    await events.aclose()


class TestOutage:
    async def test_events_wait_and_keep_their_order(
        self, redis: RedisClient, distant: RedisClient, server: Interruptible, run_id: UUID
    ) -> None:
        events = RunEvents(distant, pause=LIVE_EVENTS_SECONDS)
        await write(events, run_id, line(0))
        await server.refuse()
        for n in range(1, 30):
            await write(events, run_id, line(n))
        await server.resume()

        await eventually(lambda: has_event(redis, run_id, 29))
        assert await numbers(redis, run_id) == list(range(30))
        await events.aclose()

    async def test_batch_without_an_answer_is_not_doubled(
        self, redis: RedisClient, distant: RedisClient, server: Interruptible, run_id: UUID
    ) -> None:
        """The sender must repeat itself, and Redis has done all of it already."""
        events = RunEvents(distant, pause=LIVE_EVENTS_SECONDS)
        await write(events, run_id, line(0))
        server.mute()
        await write(events, run_id, line(1), line(2))
        await server.resume()
        events.put(run_id, line(3))

        await eventually(lambda: has_event(redis, run_id, 3))
        assert await numbers(redis, run_id) == [0, 1, 2, 3]
        await events.aclose()

    async def test_batch_without_an_answer_whose_stream_is_gone_is_sent(
        self,
        redis: RedisClient,
        distant: RedisClient,
        server: Interruptible,
        run_id: UUID,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Regression: the script failed where nothing was left to add, each time that the batch was repeated."""
        other = new_id()
        events = RunEvents(distant, pause=LIVE_EVENTS_SECONDS)
        await write(events, run_id, line(0))
        server.mute()
        await write(events, run_id, line(1))
        await redis.delete(stream_keys(run_id)[0])
        await server.resume()
        events.put(other, line(2))

        await eventually(lambda: has_event(redis, other, 2))
        await events.aclose()

        assert "attempt to index" not in caplog.text
        assert "run_events.dropped" not in caplog.text

    async def test_what_found_no_room_is_counted_where_it_is_missing(
        self, redis: RedisClient, distant: RedisClient, server: Interruptible, run_id: UUID
    ) -> None:
        other = new_id()
        events = RunEvents(distant, pause=LIVE_EVENTS_SECONDS, max_waiting=10)
        await server.refuse()
        for n in range(15):
            events.put(run_id, line(n))
        events.put(other, line(0))
        await server.resume()

        await eventually(lambda: all_of(redis, other))
        await write(events, run_id, line(99))

        kept = await all_of(redis, run_id)
        gap = kept[10]
        assert [orjson.loads(event.data)["n"] for event in kept if event is not gap] == [*range(10), 99]
        assert (gap.kind, orjson.loads(gap.data)) == (EventKind.GAP, {"type": "gap", "lost": 5})
        # Nothing further came for this run, and it is said all the same.
        [alone] = await all_of(redis, other)
        assert (alone.kind, orjson.loads(alone.data)["lost"]) == (EventKind.GAP, 1)
        await events.aclose()

    async def test_no_caller_waits_for_a_redis_that_is_known_to_be_away(
        self, distant: RedisClient, server: Interruptible, run_id: UUID
    ) -> None:
        events = RunEvents(distant, pause=LIVE_EVENTS_SECONDS)
        await server.refuse()
        await write(events, run_id, line(0))
        await server.hang()

        async with asyncio.timeout(120):
            for n in range(1, 100):
                await write(events, run_id, line(n))
        await events.aclose()

    async def test_redis_that_lacks_the_script_again_is_away(
        self, redis: RedisClient, run_id: UUID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One that restarts for ever, say: the sender asked it again without a pause, deeper each time."""
        events, loads = RunEvents(redis, pause=LIVE_EVENTS_SECONDS), []

        async def forget(script: str) -> str:
            loads.append(script)
            return "0" * 40

        with monkeypatch.context() as patched:
            patched.setattr(redis, "script_load", forget)
            await write(events, run_id, line(1))
        assert len(loads) == 2

        await eventually(lambda: has_event(redis, run_id, 1))
        await events.aclose()


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        ("1700000000000-12", EventId(1700000000000, 12)),
        ("0-0", EventId(0, 0)),
        ("1700000000000", None),
        ("1700000000000-", None),
        ("-1", None),
        ("1-2-3", None),
        ("1-٣", None),
        (f"1-{'9' * 30}", None),
        ("", None),
    ],
)
def test_ids_are_read_strictly(text: str, id_: EventId | None) -> None:
    assert EventId.parse(text) == id_
    assert id_ is None or str(id_) == text
