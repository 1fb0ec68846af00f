"""Streams end when their caller loses access (contract 6.4, 14.2, 15.2), over real HTTP."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.models import ApiKey, Membership, Project, Task, User
from tests.support.assertions import concerning
from tests.support.factories import make_user
from tests.support.web.streams import following

Opened = Callable[..., AbstractAsyncContextManager[None]]


@pytest.fixture
def ending(api: httpx.AsyncClient, project: Project, url: str, run: dict[str, Any]) -> Opened:
    """Follow some kinds of streams, each of which must end in the block, and not because its life is over."""
    events = f"/api/projects/{project.id}/events"
    kinds = {
        "project": partial(following, api, events),
        "project's inbox": partial(following, api, events, topics="inbox"),
        "inbox": partial(following, api, "/api/users/@me/inbox"),
        "run": partial(following, api, url),
        "project and run": partial(following, api, events, topics=f"tasks,run:{run['id']}"),
    }

    @asynccontextmanager
    async def ending(*names: str) -> AsyncGenerator[None, None]:
        async with AsyncExitStack() as stack:
            streams = {name: await stack.enter_async_context(kinds[name]()) for name in names}
            assert {stream.response.status_code for stream in streams.values()} == {200}
            yield
            for name, stream in streams.items():
                with concerning(name):
                    assert "end" not in [event.name for event in await stream.rest()], "it was rotated"
                    assert not stream.is_complete

    return ending


@pytest.mark.parametrize("what", ["revoked", "expired", "inactive"])
async def test_streams_end_with_the_key(
    ending: Opened, session: AsyncSession, owner: User, what: str
) -> None:
    async with ending("project", "inbox", "run", "project and run"):
        match what:
            case "revoked":
                await session.execute(update(ApiKey).values(revoked_at=utcnow()))
            case "expired":
                await session.execute(update(ApiKey).values(expires_at=utcnow()))
            case _:
                await session.execute(update(User).where(User.id == owner.id).values(is_active=False))


async def test_streams_of_a_project_end_with_the_membership(
    ending: Opened, session: AsyncSession, owner: User
) -> None:
    """Regression: a stream without a run stayed open, silent, until its life was over."""
    async with ending("project", "project's inbox"):
        await session.execute(delete(Membership).where(Membership.user_id == owner.id))


@pytest.mark.parametrize("what", ["membership ended", "task is private"])
async def test_streams_end_when_their_run_is_not_visible_any_more(
    api: httpx.AsyncClient,
    ending: Opened,
    url: str,
    session: AsyncSession,
    project: Project,
    owner: User,
    what: str,
) -> None:
    other = await make_user(session, projects=[project])
    async with ending("run", "project and run"):
        if what == "membership ended":
            await session.execute(delete(Membership).where(Membership.user_id == owner.id))
        else:
            await session.execute(update(Task).values(created_by_id=other.id))
    assert (await api.get(url)).status_code in {403, 404}
