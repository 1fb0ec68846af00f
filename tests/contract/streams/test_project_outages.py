"""The live stream of a project (contract 14.2) while servers fail: nothing is late, lost or repeated."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace
from functools import partial
from uuid import UUID

import httpx
import orjson
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.clients.live_events.event_hub import EventHub
from app.clients.live_events.run_event_publisher import RunEvents
from app.clients.redis import RedisClient, create_redis
from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.models import Project, Run, Task
from app.runtime import ProcessContext
from app.services.events.cursor import START
from app.services.events.event_reading import find_end
from app.services.retrying.policies import LIVE_EVENTS_SECONDS
from app.services.streams.run_streams import final_states
from tests.support.database.faults import altered, refusing_reads
from tests.support.factories import make_run
from tests.support.stand_ins.outage import Interruptible, behind, interruptible
from tests.support.waiting import eventually, patient
from tests.support.web.streams import StreamEvent, StreamReader, following
from tests.support.webhooks import record_event


@pytest.fixture
def events_url(project: Project) -> str:
    return f"/api/projects/{project.id}/events"


def configure(application: FastAPI, **settings: float) -> None:
    process: ProcessContext = application.state.process
    application.state.process = replace(process, settings=process.settings.model_copy(update=settings))


async def publish(events: RunEvents, run_id: UUID, numbers: Iterable[int], *, size: int = 0) -> None:
    for number in numbers:
        events.put(run_id, orjson.dumps({"n": number, "text": "x" * size}))
    await events.settle()


def numbers_of(received: list[StreamEvent]) -> list[int]:
    return [event.data["n"] for event in received if "n" in event.data]


async def take_numbers(stream: StreamReader, count: int) -> list[int]:
    """Return the numbers of as many events of a run; the run's other events and gaps are skipped."""
    taken: list[int] = []
    while len(taken) < count:
        taken += numbers_of(await stream.take(1))
    return taken


async def is_settled(sessions: SessionFactory) -> bool:
    """Return whether the one event of the ledger can be read."""
    async with unit_of_work(sessions) as session:
        return await find_end(session) != START


async def test_event_that_could_not_be_read_at_once_is_sent_without_another_one(
    api: httpx.AsyncClient,
    events_url: str,
    sessions: SessionFactory,
    engine: AsyncEngine,
    task: Task,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Regression: it was sent when the ledger grew again, because the watch knew its new end already."""
    async with following(api, events_url) as stream:
        await stream.until_silent()
        async with refusing_reads(engine, "memberships", code="57P03"):
            await record_event(sessions, task, subject_seq=1)
            await eventually(partial(is_settled, sessions))
            caplog.clear()
            await eventually(lambda: "events.not_read" in caplog.text)
        async with asyncio.timeout(patient(60)):
            [event] = await stream.take(1)
    assert event.data["data"]["seq"] == 1


async def test_reading_that_fails_unexpectedly_ends_the_stream(
    api: httpx.AsyncClient,
    events_url: str,
    sessions: SessionFactory,
    engine: AsyncEngine,
    task: Task,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Regression: the stream went on with keepalives only, and nothing was logged."""
    away = altered(
        engine, "ALTER TABLE memberships RENAME TO planted", undo="ALTER TABLE planted RENAME TO memberships"
    )
    async with following(api, events_url) as stream:
        await stream.until_silent()
        async with away:
            await record_event(sessions, task, subject_seq=1)
            assert await stream.rest() == []
    assert "project_stream.unexpected_error" in caplog.text

    async with following(api, events_url, after=stream.last_id) as again:
        [event] = await again.take(1)
    assert event.data["data"]["seq"] == 1


class TestRun:
    """A run with a stream that cannot continue: the client reconnects for it, and gets everything once."""

    @pytest.fixture
    def task_url(self, tasks_url: str, task: Task) -> str:
        return f"{tasks_url}/{task.id}"

    @pytest.fixture
    async def run(self, session: AsyncSession, task: Task) -> Run:
        return await make_run(session, task=task)

    @pytest.fixture
    def topics(self, run: Run) -> str:
        return f"tasks,run:{run.id}"

    @pytest.fixture
    async def between_redis(self, settings: Settings) -> AsyncGenerator[Interruptible, None]:
        async with interruptible(settings.redis_url) as server:
            yield server

    @pytest.fixture
    async def cut_redis(
        self, settings: Settings, between_redis: Interruptible
    ) -> AsyncGenerator[RedisClient, None]:
        client = create_redis(behind(between_redis, settings.redis_url))
        yield client
        await client.aclose()

    @pytest.fixture
    async def cut_hub(
        self, application: FastAPI, cut_redis: RedisClient, sessions: SessionFactory
    ) -> AsyncGenerator[EventHub, None]:
        """The hub of the application, which looks for ended and deleted runs all the time."""
        hub = EventHub(
            cut_redis, partial(final_states, sessions), look_seconds=0.05, pause=LIVE_EVENTS_SECONDS
        )
        application.state.process = replace(application.state.process, hub=hub)
        yield hub
        await hub.aclose()

    async def test_valkey_that_breaks_off_the_history_ends_the_stream(
        self,
        api: httpx.AsyncClient,
        application: FastAPI,
        events_url: str,
        sessions: SessionFactory,
        events: RunEvents,
        between_redis: Interruptible,
        cut_redis: RedisClient,
        task: Task,
        run: Run,
        topics: str,
    ) -> None:
        """Only the connection for new events works, as just before a server goes away."""
        application.state.process = replace(application.state.process, redis=cut_redis)
        await publish(events, run.id, [1, 2])
        await between_redis.refuse()
        async with following(api, events_url, topics=topics) as stream:
            assert await stream.rest() == []
        await record_event(sessions, task, subject_seq=1)
        await publish(events, run.id, [3])
        await between_redis.resume()

        async with following(api, events_url, topics=topics, after=stream.last_id) as again:
            # The first is a gap: this run has no event of its beginning.
            received = await again.take(5)
        assert numbers_of(received) == [1, 2, 3]
        assert [event.data["data"]["seq"] for event in received if event.name == "message"] == [1]

    @pytest.mark.usefixtures("cut_hub")
    async def test_valkey_that_is_away_for_long_keeps_no_other_topic_waiting(
        self,
        api: httpx.AsyncClient,
        application: FastAPI,
        events_url: str,
        sessions: SessionFactory,
        events: RunEvents,
        between_redis: Interruptible,
        task: Task,
        run: Run,
        topics: str,
    ) -> None:
        """The run's own stream ends with `Stream not available` then."""
        configure(application, stream_keepalive_seconds=0.02, stream_patience_seconds=0)
        await publish(events, run.id, [1])
        await between_redis.refuse()
        async with following(api, events_url, topics=topics) as stream:
            await record_event(sessions, task, subject_seq=1)
            [event] = await stream.take(1)
            assert event.data["data"]["seq"] == 1
            await between_redis.resume()
            assert await take_numbers(stream, 1) == [1]

    @pytest.mark.usefixtures("cut_hub")
    async def test_valkey_that_is_away_for_a_moment_costs_no_event(
        self,
        api: httpx.AsyncClient,
        events_url: str,
        events: RunEvents,
        between_redis: Interruptible,
        run: Run,
        topics: str,
    ) -> None:
        await publish(events, run.id, [1])
        async with following(api, events_url, topics=topics) as stream:
            assert await take_numbers(stream, 1) == [1]
            await between_redis.refuse()
            await publish(events, run.id, [2])
            await between_redis.resume()
            await publish(events, run.id, [3])
            assert await take_numbers(stream, 2) == [2, 3]

    async def test_client_that_is_too_slow_for_a_run_reconnects_for_the_rest(
        self, api: httpx.AsyncClient, events_url: str, events: RunEvents, run: Run, topics: str
    ) -> None:
        """The run's own stream cuts it off; this one stayed, without the run."""
        async with following(api, events_url, topics=topics) as stream:
            await publish(events, run.id, [0])
            received = await take_numbers(stream, 1)
            # Far more than the socket and the queues take together.
            await publish(events, run.id, range(1, 250), size=50_000)
            received += numbers_of(await stream.rest())
        assert len(received) < 250
        async with following(api, events_url, topics=topics, after=stream.last_id) as again:
            received += await take_numbers(again, 250 - len(received))
        assert received == list(range(250))

    async def test_run_of_a_deleted_task_leaves_the_stream_to_the_others(
        self,
        api: httpx.AsyncClient,
        events_url: str,
        task_url: str,
        tasks_url: str,
        cut_hub: EventHub,
        events: RunEvents,
        run: Run,
        topics: str,
    ) -> None:
        await publish(events, run.id, [1])
        async with following(api, events_url, topics=topics) as stream:
            assert await take_numbers(stream, 1) == [1]
            assert (await api.delete(task_url)).status_code == 204
            [channel] = [channel for channel in cut_hub._channels.values() if channel.run_id == run.id]
            await eventually(lambda: all(follower.is_over for follower in channel.followers))
            await api.post(tasks_url, json={"title": "Say hello"})
            types = [event.data["type"] for event in await stream.take(2)]
        assert types == ["task.deleted", "task.created"]
