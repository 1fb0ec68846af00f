"""An open stream counts as presence (contract 7.1): from its first moment to its last, and not a second longer."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.clock import utcnow
from app.db import SessionFactory
from app.enums import OriginProduct
from app.ids import new_id
from app.models import Presence, Project, PushToken, Task, User
from app.runtime import ProcessContext
from app.services.notifications.stream_presence import StreamPresence
from tests.support.assertions import assert_invalid, assert_not_found
from tests.support.callers import bearer
from tests.support.database.faults import refusing_once
from tests.support.devices import make_device
from tests.support.factories import make_key, make_user
from tests.support.waiting import eventually
from tests.support.web.streams import follower_count, following


async def presences(session: AsyncSession) -> list[Presence]:
    return list(await session.scalars(select(Presence), execution_options={"populate_existing": True}))


def followers(application: FastAPI) -> int:
    process: ProcessContext = application.state.process
    return follower_count(process.hub)


async def until_unwatched(session: AsyncSession) -> None:
    async def unwatched() -> bool:
        return not await presences(session)

    await eventually(unwatched)


async def is_renewed(session: AsyncSession, than: datetime) -> bool:
    [row] = await presences(session)
    return bool(row.expires_at > than)


async def decisions(api: httpx.AsyncClient, task_url: str) -> list[str]:
    results = (await api.get(f"{task_url}/notifications")).json()["results"]
    return [row["decision"] for row in results]


async def test_device_watches_while_the_stream_is_open(
    api: httpx.AsyncClient, url: str, task_url: str, device: PushToken, session: AsyncSession
) -> None:
    async with following(api, url, device_id=str(device.id)) as stream:
        await stream.take(1)
        [row] = await presences(session)
        assert (str(row.task_id), row.push_token_id) == (task_url.rpartition("/")[2], device.id)
        assert timedelta(seconds=50) < row.expires_at - utcnow() <= timedelta(seconds=60)

    await until_unwatched(session)


async def test_end_of_a_run_is_seen_by_who_streams_and_pushed_to_who_does_not(
    api: httpx.AsyncClient, url: str, task_url: str, device: PushToken, session: AsyncSession
) -> None:
    async with following(api, url, device_id=str(device.id)) as stream:
        await api.patch(url, json={"status": "completed"})
        await stream.rest()
    await until_unwatched(session)
    assert await decisions(api, task_url) == ["not_needed"]

    other = f"{task_url}/runs/{(await api.post(f'{task_url}/runs')).json()['id']}"
    async with following(api, other) as stream:
        await api.patch(other, json={"status": "completed"})
        await stream.rest()
    assert sorted(await decisions(api, task_url)) == ["not_needed", "pending"]


@pytest.fixture
def frequent_beats(application: FastAPI, sessions: SessionFactory) -> None:
    """Streams beat twenty times a second."""
    watchers = StreamPresence(sessions, beat_seconds=0.05)
    application.state.process = replace(application.state.process, watchers=watchers)


@pytest.mark.usefixtures("frequent_beats")
async def test_server_goes_on_beating_even_after_an_unexpected_error(
    api: httpx.AsyncClient,
    url: str,
    device: PushToken,
    session: AsyncSession,
    engine: AsyncEngine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with following(api, url, device_id=str(device.id)) as stream:
        await stream.take(1)
        async with refusing_once(engine, "presence"):
            await eventually(lambda: "stream_presence.not_beaten" in caplog.text)
        for _ in range(3):
            [before] = await presences(session)
            await eventually(partial(is_renewed, session, before.expires_at))
    await until_unwatched(session)


async def test_presence_lasts_as_long_as_the_last_stream_of_the_device(
    api: httpx.AsyncClient,
    application: FastAPI,
    url: str,
    device: PushToken,
    session: AsyncSession,
) -> None:
    async with following(api, url, device_id=str(device.id)) as first:
        await first.take(1)
        async with following(api, url, device_id=str(device.id)) as second:
            await second.take(1)

        async def one_is_left() -> bool:
            return followers(application) == 1

        await eventually(one_is_left)
        assert len(await presences(session)) == 1
    await until_unwatched(session)


async def test_beat_of_the_device_itself_outlives_its_stream(
    api: httpx.AsyncClient,
    application: FastAPI,
    url: str,
    task_url: str,
    device: PushToken,
    owner: User,
    session: AsyncSession,
) -> None:
    async with following(api, url, device_id=str(device.id)) as stream:
        await stream.take(1)
        beaten = await api.post(f"{task_url}/presence", json={"device_id": str(device.id)})
        assert beaten.status_code == 204

    async def stream_is_gone() -> bool:
        return followers(application) == 0

    await eventually(stream_is_gone)
    # Leaving is what the stream does last: what this one did is seen by another one that comes and goes.
    other = (await make_device(session, user=owner)).id
    async with following(api, url, device_id=str(other)) as stream:
        await stream.take(1)

    async def other_is_gone() -> bool:
        return other not in {row.push_token_id for row in await presences(session)}

    await eventually(other_is_gone)
    assert [row.push_token_id for row in await presences(session)] == [device.id]


@pytest.mark.usefixtures("frequent_beats")
async def test_device_that_is_removed_meanwhile_is_beaten_for_no_longer(
    api: httpx.AsyncClient, url: str, device: PushToken, session: AsyncSession
) -> None:
    async with following(api, url, device_id=str(device.id)) as stream:
        await stream.take(1)
        await session.execute(delete(PushToken).where(PushToken.id == device.id))
        await until_unwatched(session)
        await api.patch(url, json={"status": "completed"})
        assert [event.data["status"] for event in await stream.rest()] == ["completed"]


@pytest.mark.usefixtures("frequent_beats")
async def test_device_that_changes_its_user_is_beaten_for_the_one_who_has_it(
    api: httpx.AsyncClient, url: str, device: PushToken, owner: User, project: Project, session: AsyncSession
) -> None:
    """The first stream stays open all the while."""
    other = await make_user(session, projects=[project])
    key = await make_key(session, user=other)
    await session.execute(update(Task).values(origin_product=OriginProduct.HOGDESK))
    async with following(api, url, device_id=str(device.id)) as first:
        await first.take(1)
        for user, headers in ((other, bearer(key)), (owner, {})):
            await session.execute(update(PushToken).where(PushToken.id == device.id).values(user_id=user.id))
            async with following(api, url, device_id=str(device.id), headers=headers) as stream:
                await stream.take(1)
                for _ in range(3):
                    [before] = await presences(session)
                    assert before.user_id == user.id
                    await eventually(partial(is_renewed, session, before.expires_at))
    await until_unwatched(session)


async def test_unknown_device_is_refused_before_the_stream_begins(
    api: httpx.AsyncClient, url: str, session: AsyncSession
) -> None:
    foreign = await make_device(session, user=await make_user(session))
    detail = "device_id does not match a push token registered by the caller"
    for unknown in (new_id(), foreign.id):
        async with following(api, url, device_id=str(unknown)) as stream:
            assert_not_found(stream.response, detail)
    async with following(api, url, device_id="my phone") as stream:
        assert_invalid(stream.response, "device_id", "invalid_input", "Must be a valid UUID.")
    assert await presences(session) == []


@pytest.mark.walls
@pytest.mark.usefixtures("device")
async def test_stream_without_a_device_does_not_count_as_watching(
    api: httpx.AsyncClient, url: str, session: AsyncSession
) -> None:
    async with following(api, url, device_id="") as stream:
        await stream.take(1)
        assert await presences(session) == []
