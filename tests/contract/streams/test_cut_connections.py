"""No follower is left behind when its connection and the API's own to Redis are cut at a run's end (contract 6.4)."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from fastapi import FastAPI

from app.clients.live_events.event_hub import EventHub
from app.clients.live_events.run_event_publisher import RunEvents
from app.clients.redis import RedisClient, create_redis
from app.config import Settings
from app.db import SessionFactory
from app.services.retrying.policies import LIVE_EVENTS_SECONDS
from app.services.streams.run_streams import final_states
from tests.support.callers import Caller
from tests.support.stand_ins.outage import Interruptible, behind, interruptible
from tests.support.waiting import patient
from tests.support.web.clients import socket_client
from tests.support.web.serving import serving
from tests.support.web.streams import following

JSON = dict[str, Any]
FOLLOWERS = 40
ENTRIES = 100
# Longer than the hub takes to look for runs that ended unheard.
WITHIN_SECONDS = 45


@pytest.fixture
async def between_redis(settings: Settings) -> AsyncGenerator[Interruptible, None]:
    async with interruptible(settings.redis_url) as server:
        yield server


@pytest.fixture
async def cut_redis(settings: Settings, between_redis: Interruptible) -> AsyncGenerator[RedisClient, None]:
    client = create_redis(behind(between_redis, settings.redis_url))
    yield client
    await client.aclose()


@pytest.fixture
async def events(cut_redis: RedisClient) -> AsyncGenerator[RunEvents, None]:
    events = RunEvents(cut_redis, pause=LIVE_EVENTS_SECONDS)
    yield events
    await events.aclose()


@pytest.fixture
async def hub(cut_redis: RedisClient, sessions: SessionFactory) -> AsyncGenerator[EventHub, None]:
    hub = EventHub(cut_redis, partial(final_states, sessions), pause=LIVE_EVENTS_SECONDS)
    yield hub
    await hub.aclose()


@pytest.fixture
async def between_clients(application: FastAPI) -> AsyncGenerator[Interruptible, None]:
    async with serving(application) as base_url, interruptible(base_url) as server:
        yield server


class Device:
    """A client that comes back with its last event whenever its connection breaks, as browsers do."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.status: str | None = None
        self.is_live = asyncio.Event()
        self._last: str | None = None

    async def follow(self, api: httpx.AsyncClient, url: str) -> None:
        while self.status != "completed":
            with suppress(httpx.TransportError):
                async with following(api, url, after=self._last) as stream:
                    while (event := await stream.next()) is not None:
                        self._last = event.id or self._last
                        if "n" in event.data:
                            self.numbers.append(event.data["n"])
                        if event.name == "message":
                            self.status = event.data.get("status", self.status)
                        self.is_live.set()


async def make_run(api: httpx.AsyncClient, tasks_url: str) -> tuple[UUID, str]:
    task = (await api.post(tasks_url, json={"title": "Say hello"})).json()
    run = (await api.post(f"{tasks_url}/{task['id']}/runs")).json()
    return UUID(run["id"]), f"{tasks_url}/{task['id']}/runs/{run['id']}"


def put(events: RunEvents, run_id: UUID, numbers: Iterable[int]) -> None:
    for number in numbers:
        events.put(run_id, orjson.dumps({"n": number}))


@pytest.mark.parametrize("cut_before", [False, True])
async def test_all_followers_see_everything_and_the_end(
    application: FastAPI,
    caller: Caller,
    tasks_url: str,
    events: RunEvents,
    between_clients: Interruptible,
    between_redis: Interruptible,
    cut_before: bool,
) -> None:
    async with (
        serving(application) as base_url,
        socket_client(base_url=base_url, headers=caller.headers) as api,
        socket_client(base_url=between_clients.url, headers=caller.headers) as cut_api,
    ):
        run_id, url = await make_run(api, tasks_url)
        devices = [Device() for _ in range(FOLLOWERS)]
        tasks = [asyncio.create_task(device.follow(cut_api, url)) for device in devices]
        async with asyncio.timeout(patient(WITHIN_SECONDS)):
            await asyncio.gather(*(device.is_live.wait() for device in devices))
        put(events, run_id, range(ENTRIES // 2))

        ending = asyncio.create_task(api.patch(url, json={"status": "completed"}))
        if cut_before:
            await asyncio.gather(between_redis.cut(), between_clients.cut())
        put(events, run_id, range(ENTRIES // 2, ENTRIES))
        await asyncio.gather(between_clients.cut(), between_redis.cut())
        assert (await ending).status_code == 200
        await asyncio.gather(between_redis.cut(), between_clients.cut())

        async with asyncio.timeout(patient(WITHIN_SECONDS)):
            await asyncio.gather(*tasks)
        for device in devices:
            assert device.numbers == sorted(set(device.numbers))
