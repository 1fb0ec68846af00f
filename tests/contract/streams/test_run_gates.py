"""Access to the stream of a run (contract 6.4), and the cost of following it."""

from contextlib import AsyncExitStack
from dataclasses import replace

import httpx
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from app.clients.live_events.event_hub import EventHub
from app.ids import new_id
from app.runtime import ProcessContext
from app.services.access.stream_watch import StreamWatch
from tests.support.assertions import assert_not_found, assert_permission_denied, concerning
from tests.support.callers import CallerKind, Cast
from tests.support.waiting import eventually
from tests.support.web.streams import follower_count, following


async def test_streams_hold_no_connection_to_the_database(
    api: httpx.AsyncClient, url: str, engine: AsyncEngine, hub: EventHub
) -> None:
    in_use = engine.pool.checkedout  # type: ignore[attr-defined] # the pool that the service uses
    # Tests before this one may have left the connection open that they share.
    before = in_use()
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(following(api, url)) for _ in range(50)]
        for stream in streams:
            await stream.take(1)
        assert follower_count(hub) == 50
        # A look at who may still follow takes one for a moment, twice a second.
        await eventually(lambda: in_use() == before)

    async def all_gone() -> bool:
        return follower_count(hub) == 0

    await eventually(all_gone)


async def test_only_callers_that_see_the_run_may_follow_it(
    api: httpx.AsyncClient, url: str, cast: Cast
) -> None:
    """Reading is enough; what is not visible is not found."""
    del api.headers["Authorization"]
    for kind, caller in cast.callers.items():
        async with following(api, url, headers=caller.headers) as stream:
            with concerning(kind):
                match kind:
                    case CallerKind.OWNER | CallerKind.READ_ONLY:
                        assert stream.response.status_code == 200
                    case CallerKind.MEMBER | CallerKind.STAFF:
                        assert_not_found(stream.response)
                    case CallerKind.NO_SCOPES:
                        assert_permission_denied(
                            stream.response, "API key missing required scope 'task:read'"
                        )
                    case _:
                        assert stream.response.status_code == 403


async def test_run_must_be_visible(api: httpx.AsyncClient, task_url: str, url: str) -> None:
    other_task = url.replace(task_url.rpartition("/")[2], str(new_id()))
    for wrong in (f"{task_url}/runs/{new_id()}", f"{task_url}/runs/x", other_task):
        async with following(api, wrong) as stream:
            assert_not_found(stream.response)


async def test_head_is_answered_without_a_stream(api: httpx.AsyncClient, url: str) -> None:
    response = await api.head(f"{url}/stream")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream")


async def test_trailing_slash_is_optional(api: httpx.AsyncClient, url: str) -> None:
    assert (await api.patch(url, json={"status": "completed"})).status_code == 200
    response = await api.get(f"{url}/stream/")
    assert response.status_code == 200
    assert response.text.startswith("retry: ")


async def test_user_has_a_limited_number_of_streams_in_a_process(
    application: FastAPI, api: httpx.AsyncClient, url: str, process: ProcessContext
) -> None:
    """Regression: the requests a minute bounded only how fast one user could open streams without end."""
    application.state.process = replace(process, open_streams=StreamWatch(most=2))
    async with following(api, url) as first, following(api, url) as second:
        for stream in (first, second):
            await stream.take(1)
        for path in (f"{url}/stream", "/api/users/@me/inbox/stream"):
            refused = await api.get(path)
            with concerning(path):
                assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")

    async def is_free() -> bool:
        async with following(api, url) as stream:
            return stream.response.status_code == 200

    await eventually(is_free)
