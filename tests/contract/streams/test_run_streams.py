"""The live stream of a run (contract 6.4), over real HTTP: what a client gets, from where, and how it ends."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from fastapi import FastAPI
from sqlalchemy import update
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.cli.serving.http_protocol import StreamingProtocol
from app.clients.live_events.event_hub import EventHub
from app.clients.live_events.run_event_publisher import RunEvents
from app.clients.live_events.run_event_stream import MAX_EVENTS, channel_of, stream_keys
from app.clients.live_events.run_events import MAX_EVENT_BYTES, EventKind
from app.clients.live_events.run_followers import MAX_QUEUED_BYTES
from app.clients.redis import RedisClient
from app.clients.storage.object_store import ObjectStore
from app.clock import utcnow
from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.models import Run
from app.runtime import ProcessContext
from app.services.retrying.policies import LIVE_EVENTS_SECONDS
from app.services.streams.run_streams import final_states
from tests.support.stand_ins.outage import Interruptible, interruptible
from tests.support.waiting import eventually
from tests.support.web.serving import serving
from tests.support.web.streams import StreamEvent, StreamReader, follower_count, following

JSON = dict[str, Any]
STATE_KEYS = [
    *("type", "run_id", "task_id", "status", "stage", "output", "branch"),
    *("error_message", "updated_at", "completed_at"),
]


def configure(application: FastAPI, **settings: float) -> None:
    process: ProcessContext = application.state.process
    application.state.process = replace(process, settings=process.settings.model_copy(update=settings))


async def patch(api: httpx.AsyncClient, url: str, **body: Any) -> None:
    response = await api.patch(url, json=body)
    assert response.status_code == 200, response.text


async def say(events: RunEvents, run: JSON, *numbers: int, size: int = 0) -> None:
    for number in numbers:
        events.put(UUID(run["id"]), orjson.dumps({"n": number} | ({"x": "x" * size} if size else {})))
    await events.settle()


def numbers(seen: list[StreamEvent]) -> list[int]:
    return [event.data["n"] for event in seen if "n" in event.data]


def place(seen: StreamEvent) -> int:
    assert seen.id is not None
    return int(seen.id.partition("-")[2])


class TestStates:
    async def test_history_begins_with_the_run_and_ends_with_its_end(
        self, api: httpx.AsyncClient, url: str, run: JSON
    ) -> None:
        await patch(api, url, status="in_progress", stage="build")
        await patch(api, url, branch="main")
        await patch(api, url, status="completed", output={"tests": 42})

        async with following(api, url) as stream:
            headers = stream.response.headers
            seen = await stream.rest()

        assert headers["content-type"] == "text/event-stream"
        assert headers["cache-control"] == "no-cache"
        assert headers["x-accel-buffering"] == "no"
        assert headers["x-request-id"]
        assert [place(event) for event in seen] == [1, 2, 3, 4]
        assert {event.name for event in seen} == {"message"}
        assert all(list(event.data) == STATE_KEYS for event in seen)
        assert [event.data["status"] for event in seen] == [
            "queued",
            "in_progress",
            "in_progress",
            "completed",
        ]
        assert (seen[2].data["stage"], seen[2].data["branch"]) == ("build", "main")
        ended = (await api.get(url)).json()
        assert seen[3].data == {"type": "task_run_state", "run_id": run["id"], "task_id": ended["task"]} | {
            key: ended[key] for key in STATE_KEYS[3:]
        }

    async def test_follower_gets_each_change_of_the_run(self, api: httpx.AsyncClient, url: str) -> None:
        async with following(api, url) as stream:
            [opened] = await stream.take(1)
            assert opened.data["status"] == "queued"
            await patch(api, url, stage="build")
            assert [event.data["stage"] for event in await stream.take(1)] == ["build"]
            await api.patch(f"{url}/set_output", json={"output": {"n": 1}})
            assert [event.data["output"] for event in await stream.take(1)] == [{"n": 1}]
            await patch(api, url, status="in_progress")
            # A change that comes with the status that the run has already.
            await patch(api, url, status="in_progress", stage="test")
            await patch(api, url, status="failed", error_message="No luck.")
            *changes, ended = await stream.rest()
            assert [event.data["stage"] for event in changes] == ["build", "test"]
            assert (ended.data["status"], ended.data["error_message"]) == ("failed", "No luck.")

    async def test_output_that_is_too_large_is_left_out_of_the_event(
        self, api: httpx.AsyncClient, url: str
    ) -> None:
        await patch(api, url, status="completed", output={"x": "x" * MAX_EVENT_BYTES})
        async with following(api, url) as stream:
            ended = (await stream.rest())[-1]
        assert (ended.data["status"], ended.data["output"], ended.data["omitted"]) == (
            "completed",
            None,
            ["output"],
        )

    async def test_run_that_was_reopened_goes_on_behind_its_first_end(
        self, api: httpx.AsyncClient, url: str
    ) -> None:
        await patch(api, url, status="completed")
        assert (await api.post(f"{url}/resume_in_cloud")).status_code == 200
        async with following(api, url) as stream:
            seen = await stream.take(3)
            assert [event.data["status"] for event in seen] == ["queued", "completed", "queued"]
            await patch(api, url, status="cancelled")
            [ended] = await stream.rest()
        assert ended.data["status"] == "cancelled"


class TestEntries:
    async def test_what_is_appended_to_the_log_comes_live_chunks_included(
        self, api: httpx.AsyncClient, url: str
    ) -> None:
        chunk = {
            "type": "notification",
            "notification": {
                "method": "session/update",
                "params": {"update": {"sessionUpdate": "agent_message_chunk"}},
            },
        }
        async with following(api, url) as stream:
            await stream.take(1)
            entries = [{"n": 1, "text": "ü\nu"}, chunk]
            assert (await api.post(f"{url}/append_log", json={"entries": entries})).status_code == 200
            assert [event.data for event in await stream.take(2)] == entries
            await api.post(f"{url}/relay_message", json={"text": "hello"})
            [relayed] = await stream.take(1)
        assert relayed.data["notification"]["params"] == {"text": "hello"}
        assert (await api.get(f"{url}/session_logs")).json() == [entries[0], relayed.data]

    @pytest.mark.parametrize("type_", ["task_run_state", "gap", "omitted", "keepalive"])
    async def test_entry_cannot_pass_for_a_word_of_the_service(
        self, api: httpx.AsyncClient, url: str, type_: str
    ) -> None:
        forged = {"type": type_, "status": "completed"}
        async with following(api, url) as stream:
            await stream.take(1)
            await api.post(f"{url}/append_log", json={"entries": [forged, {"type": ["list"]}]})
            assert [event.data for event in await stream.take(1)] == [{"type": ["list"]}]
        assert (await api.get(f"{url}/session_logs")).json()[0] == forged

    async def test_entry_that_is_too_large_says_where_it_is(
        self, api: httpx.AsyncClient, url: str, events: RunEvents, run: JSON
    ) -> None:
        async with following(api, url) as stream:
            await stream.take(1)
            await say(events, run, 1, size=MAX_EVENT_BYTES)
            [seen] = await stream.take(1)
        assert seen.data["type"] == "omitted"
        assert seen.data["bytes"] > MAX_EVENT_BYTES
        assert (await api.get(seen.data["reload"])).status_code == 200


class TestStoreAway:
    @pytest.fixture
    async def server(self, settings: Settings) -> AsyncGenerator[Interruptible, None]:
        assert settings.s3_endpoint_url is not None
        async with interruptible(settings.s3_endpoint_url) as server:
            yield server

    @pytest.fixture
    async def object_store(
        self, settings: Settings, server: Interruptible
    ) -> AsyncGenerator[ObjectStore, None]:
        behind = settings.model_copy(update={"s3_endpoint_url": server.url})
        async with ObjectStore(behind, seconds=2) as store:
            yield store

    async def test_follower_hears_before_it_is_stored_and_of_a_gap_if_it_is_not(
        self, api: httpx.AsyncClient, url: str, server: Interruptible
    ) -> None:
        async with following(api, url) as stream:
            await stream.take(1)
            await server.hang()
            appending = asyncio.create_task(api.post(f"{url}/append_log", json={"entries": [{"n": 1}]}))
            assert [event.data for event in await stream.take(1)] == [{"n": 1}]
            assert not appending.done()

            assert (await appending).status_code == 503
            [gap] = await stream.take(1)
        assert (gap.name, gap.data["lost"]) == ("gap", None)
        await server.resume()
        assert (await api.get(gap.data["reload"])).json() == []


async def until_live(stream: StreamReader, redis: RedisClient, run: JSON) -> None:
    """Return once nothing that is said can be older than the stream; `configure` its signs of life before."""

    async def subscribed() -> bool:
        [(_, count)] = await redis.pubsub_numsub(channel_of(UUID(run["id"])))
        return bool(count)

    await eventually(subscribed)
    for _ in range(3):
        await stream.until_silent()


class TestPlace:
    async def test_client_goes_on_from_its_last_event(
        self, api: httpx.AsyncClient, url: str, events: RunEvents, run: JSON
    ) -> None:
        async with following(api, url) as stream:
            await say(events, run, *range(50))
            seen = await stream.take(20)
        await say(events, run, *range(50, 450))
        await patch(api, url, status="completed")

        async with following(api, url, after=stream.last_id) as again:
            rest = await again.rest()

        assert {event.name for event in rest} == {"message"}
        assert numbers(seen + rest) == list(range(450))

    async def test_place_may_stand_in_the_query(
        self, api: httpx.AsyncClient, url: str, events: RunEvents, run: JSON
    ) -> None:
        await say(events, run, 1, 2)
        await patch(api, url, status="completed")
        async with following(api, url) as stream:
            seen = await stream.rest()
        async with following(api, url, last_event_id=str(seen[1].id)) as again:
            assert await again.rest() == seen[2:]
        async with following(api, url, last_event_id=str(seen[0].id), after=seen[2].id) as again:
            assert await again.rest() == seen[3:]

    @pytest.mark.parametrize("nothing", ["", "0", "0-0"])
    async def test_client_that_has_seen_nothing_begins_at_the_beginning(
        self, api: httpx.AsyncClient, url: str, nothing: str
    ) -> None:
        async with following(api, url, after=nothing) as stream:
            [seen] = await stream.take(1)
        assert (seen.name, place(seen)) == ("message", 1)

    async def test_latest_skips_what_was(
        self,
        api: httpx.AsyncClient,
        application: FastAPI,
        url: str,
        events: RunEvents,
        run: JSON,
        redis: RedisClient,
    ) -> None:
        configure(application, stream_keepalive_seconds=0.05)
        await say(events, run, 1, 2, 3)
        async with following(api, url, start="latest") as stream:
            await until_live(stream, redis, run)
            await say(events, run, 4)
            assert numbers(await stream.take(1)) == [4]

    async def test_client_that_comes_back_before_an_event_goes_on_with_latest(
        self, api: httpx.AsyncClient, url: str, events: RunEvents, run: JSON
    ) -> None:
        async with following(api, url, start="latest") as stream:
            await stream.next()
        await say(events, run, 1)
        async with following(api, url, start="latest", after=stream.last_id) as again:
            assert numbers(await again.take(1)) == [1]

    async def test_client_that_comes_back_after_the_end_gets_it_once_more(
        self, api: httpx.AsyncClient, url: str
    ) -> None:
        await patch(api, url, status="completed")
        async with following(api, url) as stream:
            *_, ended = await stream.rest()
        async with following(api, url, after=ended.id) as again:
            [seen] = await again.rest()
        assert (seen.id, seen.data) == (None, ended.data)

    async def test_history_meets_what_comes_live_without_hole_or_double(
        self, api: httpx.AsyncClient, url: str, events: RunEvents, run: JSON
    ) -> None:
        async def speak() -> None:
            for number in range(600):
                await say(events, run, number)
            await patch(api, url, status="completed")

        async def listen() -> list[StreamEvent]:
            async with following(api, url) as stream:
                return await stream.rest()

        async with asyncio.TaskGroup() as group:
            group.create_task(speak())
            listeners = [group.create_task(listen()) for _ in range(8)]

        for listener in listeners:
            seen = listener.result()
            assert [place(event) for event in seen] == list(range(1, 603))


Trimmed = Callable[[int], Awaitable[StreamEvent]]


class TestGap:
    def gap(self, seen: StreamEvent) -> JSON:
        assert (seen.id, seen.name, seen.data["type"]) == (None, "gap", "gap")
        data: JSON = seen.data
        return data

    @pytest.fixture
    def trimmed(
        self, api: httpx.AsyncClient, url: str, events: RunEvents, run: JSON, redis: RedisClient
    ) -> Trimmed:
        """Say ten things, keep the last few events; returns the first event of all, which is gone."""

        async def trim(keep: int) -> StreamEvent:
            async with following(api, url) as stream:
                [opened] = await stream.take(1)
            await say(events, run, *range(10))
            await redis.xtrim(stream_keys(UUID(run["id"]))[0], maxlen=keep, approximate=False)
            return opened

        return trim

    async def test_place_that_was_trimmed_is_reported_with_what_is_lost(
        self, api: httpx.AsyncClient, url: str, trimmed: Trimmed
    ) -> None:
        opened = await trimmed(4)

        async with following(api, url, after=opened.id) as again:
            gap, *rest = await again.take(5)

        assert numbers(rest) == [6, 7, 8, 9]
        seen = self.gap(gap)
        assert (seen["lost"], seen["first_available_id"]) == (6, rest[0].id)
        assert (await api.get(seen["reload"])).status_code == 200

    async def test_place_just_before_what_is_left_is_none(
        self, api: httpx.AsyncClient, url: str, trimmed: Trimmed
    ) -> None:
        opened = await trimmed(10)

        async with following(api, url, after=opened.id) as again:
            assert numbers(await again.take(10)) == list(range(10))

    async def test_beginning_that_was_trimmed_is_reported(
        self, api: httpx.AsyncClient, url: str, events: RunEvents, run: JSON
    ) -> None:
        await say(events, run, *range(MAX_EVENTS * 2))
        async with following(api, url) as stream:
            gap, first = await stream.take(2)
        seen = self.gap(gap)
        assert seen["first_available_id"] == first.id
        assert seen["lost"] == place(first) - 1 > MAX_EVENTS // 2

    async def test_stream_of_an_emptied_redis_is_another_one(
        self, api: httpx.AsyncClient, url: str, events: RunEvents, run: JSON, redis: RedisClient
    ) -> None:
        async with following(api, url) as stream:
            await stream.take(1)
            await redis.flushdb()
            await say(events, run, 7)
            gap, seen = await stream.take(2)
            assert (self.gap(gap)["lost"], numbers([seen])) == (None, [7])
        epoch = str(seen.id).partition("-")[0]
        for after in (f"{epoch}-9", "1-1", "x", "9" * 300):
            async with following(api, url, after=after) as again:
                gap, seen_again = await again.take(2)
            assert (self.gap(gap)["lost"], gap.data["first_available_id"]) == (None, seen.id)
            assert seen_again == seen
        async with following(api, url) as again:
            gap, seen_again = await again.take(2)
        assert (self.gap(gap)["lost"], seen_again) == (None, seen)

    async def test_events_that_could_not_be_sent_leave_a_gap(
        self, api: httpx.AsyncClient, url: str, run: JSON, events: RunEvents
    ) -> None:
        async with following(api, url) as stream:
            await stream.take(1)
            events.put(UUID(run["id"]), b'{"type":"gap","lost":3}', kind=EventKind.GAP)
            [seen] = await stream.take(1)
        assert (seen.name, seen.data["lost"], place(seen)) == ("gap", 3, 2)
        assert (await api.get(seen.data["reload"])).status_code == 200

    async def test_run_that_is_over_and_without_its_stream_says_how_it_ended(
        self, api: httpx.AsyncClient, url: str, redis: RedisClient
    ) -> None:
        await patch(api, url, status="completed", output={"n": 1})
        await redis.flushdb()
        async with following(api, url) as stream:
            gap, ended = await stream.rest()
        assert (self.gap(gap)["lost"], gap.data["first_available_id"]) == (None, None)
        assert (ended.id, ended.data["status"], ended.data["output"]) == (None, "completed", {"n": 1})
        async with following(api, url, start="latest") as stream:
            assert [seen.data["status"] for seen in await stream.rest()] == ["completed"]


class ImpatientProtocol(StreamingProtocol):
    """The connections of `taskbeacon serve`, cut off soon."""

    unacknowledged_milliseconds = 500

    @override
    def shutdown(self) -> None:
        """End as others do: what is served here has no lifespan, and with it no hub of its own."""
        HttpToolsProtocol.shutdown(self)


class TestSlowClients:
    async def test_client_that_takes_nothing_is_cut_off_and_nothing_is_kept_for_it(
        self,
        api: httpx.AsyncClient,
        application: FastAPI,
        url: str,
        run: JSON,
        hub: EventHub,
        events: RunEvents,
    ) -> None:
        async with serving(application, ImpatientProtocol) as base_url:
            address = httpx.URL(base_url)
            stalled = socket.socket()
            stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stalled.settimeout(0)
            await asyncio.get_running_loop().sock_connect(stalled, (address.host, address.port))
            key = api.headers["authorization"]
            request = f"GET {url}/stream HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\n\r\n"
            await asyncio.get_running_loop().sock_sendall(stalled, request.encode())

            async def collects() -> bool:
                return any(channel.collecting for channel in hub._channels.values())

            await eventually(collects)
            [channel] = hub._channels.values()
            [follower] = channel.followers
            # Far more than the socket and the queue take together.
            for number in range(10):
                await say(events, run, *range(number * 20, number * 20 + 20), size=50_000)
                assert follower._queued_bytes <= MAX_QUEUED_BYTES + MAX_EVENT_BYTES

            async def is_gone() -> bool:
                return follower_count(hub) == 0

            await eventually(is_gone)
            assert follower._queued == []
            stalled.close()

            # A client that takes what it is sent gets all that is left.
            async with following(api, url) as stream:
                assert numbers(await stream.take(201)) == list(range(200))


class TestTime:
    async def test_silent_stream_gives_signs_of_life(
        self, api: httpx.AsyncClient, application: FastAPI, url: str
    ) -> None:
        configure(application, stream_keepalive_seconds=0.05)
        async with following(api, url) as stream:
            await stream.take(1)
            for _ in range(3):
                assert await stream.next() == StreamEvent(None, "keepalive", {"type": "keepalive"})

    async def test_stream_that_does_not_appear_is_given_up(
        self, api: httpx.AsyncClient, application: FastAPI, url: str, redis: RedisClient
    ) -> None:
        configure(application, stream_keepalive_seconds=0.1, stream_patience_seconds=0.3)
        await redis.flushdb()
        async with following(api, url) as stream:
            gap, error = await stream.rest()
        assert gap.name == "gap"
        assert error == StreamEvent(None, "error", {"error": "Stream not available"})

    async def test_stream_that_was_there_is_not_given_up(
        self, api: httpx.AsyncClient, application: FastAPI, url: str
    ) -> None:
        async with following(api, url) as stream:
            await stream.take(1)
        configure(application, stream_keepalive_seconds=0.25, stream_patience_seconds=1)
        async with following(api, url) as stream:
            # Its event, and signs of life for longer than it would be waited for.
            for _ in range(6):
                event = await stream.next()
                assert event is not None
                assert event.name != "error"

    async def test_stream_is_rotated(
        self, api: httpx.AsyncClient, application: FastAPI, url: str, redis: RedisClient
    ) -> None:
        configure(application, stream_life_seconds=0.2)
        async with following(api, url) as stream:
            assert (await stream.rest())[1:] == [StreamEvent(None, "end", {"type": "rotated"})]
        await redis.flushdb()  # the next one waits for it
        async with following(api, url) as stream:
            assert [event.name for event in await stream.rest()] == ["gap", "end"]

    @pytest.mark.parametrize("waiting", [0, 250], ids=["live", "in the history"])
    async def test_nothing_is_lost_or_repeated_across_rotations(
        self,
        api: httpx.AsyncClient,
        application: FastAPI,
        url: str,
        run: JSON,
        events: RunEvents,
        waiting: int,
    ) -> None:
        """Events are written without a pause, so that some come at the very moment of each rotation."""
        configure(application, stream_life_seconds=0.1)
        await say(events, run, *range(waiting))

        async def write() -> None:
            for number in range(waiting, waiting + 300):
                await say(events, run, number)
            await patch(api, url, status="completed")

        writing = asyncio.create_task(write())
        seen: list[StreamEvent] = []
        rotations = 0
        while True:
            async with following(api, url, after=seen[-1].id if seen else None) as stream:
                seen += await stream.rest()
            if stream.is_complete:
                break
            assert seen.pop().name == "end"
            rotations += 1
        await writing
        assert numbers(seen) == list(range(waiting + 300))
        assert [event.data["status"] for event in seen if "status" in event.data] == ["queued", "completed"]
        assert rotations

    async def test_run_that_is_over_says_so_to_a_client_that_comes_later(
        self, api: httpx.AsyncClient, url: str
    ) -> None:
        await patch(api, url, status="failed")
        for after in (None, "1-1"):
            async with following(api, url, after=after) as stream:
                assert (await stream.rest())[-1].data["status"] == "failed"
            assert stream.is_complete

    async def test_end_that_was_never_published_is_found(
        self,
        api: httpx.AsyncClient,
        application: FastAPI,
        url: str,
        run: JSON,
        redis: RedisClient,
        sessions: SessionFactory,
    ) -> None:
        hub = EventHub(redis, partial(final_states, sessions), look_seconds=0.05, pause=LIVE_EVENTS_SECONDS)
        application.state.process = replace(application.state.process, hub=hub)
        async with following(api, url) as stream:
            await stream.take(1)
            async with unit_of_work(sessions) as session:
                failed = update(Run).where(Run.id == UUID(run["id"]))
                await session.execute(failed.values(status="failed", completed_at=utcnow()))
            gap, seen = await stream.rest()
        assert (gap.name, gap.data["lost"]) == ("gap", None)
        assert (seen.id, seen.data["status"], stream.is_complete) == (None, "failed", True)
        await hub.aclose()

    async def test_stream_of_a_deleted_task_ends(
        self,
        api: httpx.AsyncClient,
        application: FastAPI,
        task_url: str,
        url: str,
        redis: RedisClient,
        sessions: SessionFactory,
    ) -> None:
        hub = EventHub(redis, partial(final_states, sessions), look_seconds=0.05, pause=LIVE_EVENTS_SECONDS)
        application.state.process = replace(application.state.process, hub=hub)
        async with following(api, url) as stream:
            await stream.take(1)
            assert (await api.delete(task_url)).status_code == 204
            assert await stream.rest() == []
        assert not stream.is_complete
        await hub.aclose()
