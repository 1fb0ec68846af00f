"""Streams end when their caller loses access (contract 6.4, 14.2, 15.2), over real HTTP."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.models import ApiKey, Membership, Project, Task, User
from tests.support.factories import make_user
from tests.support.web.streams import StreamReader, following

JSON = dict[str, Any]
KINDS = ["project", "inbox", "run", "project and run"]


@pytest.fixture
def opened(
    api: httpx.AsyncClient, project: Project, url: str, run: JSON, request: pytest.FixtureRequest
) -> AbstractAsyncContextManager[StreamReader]:
    events = f"/api/projects/{project.id}/events"
    match request.param:
        case "project":
            return following(api, events)
        case "project's inbox":
            return following(api, events, topics="inbox")
        case "inbox":
            return following(api, "/api/users/@me/inbox")
        case "run":
            return following(api, url)
        case _:
            return following(api, events, topics=f"tasks,run:{run['id']}")


@pytest.mark.parametrize("opened", KINDS, indirect=True)
@pytest.mark.parametrize("what", ["revoked", "expired", "inactive"])
async def test_stream_ends_with_the_key(
    opened: AbstractAsyncContextManager[StreamReader], session: AsyncSession, owner: User, what: str
) -> None:
    async with opened as stream:
        assert stream.response.status_code == 200
        match what:
            case "revoked":
                await session.execute(update(ApiKey).values(revoked_at=utcnow()))
            case "expired":
                await session.execute(update(ApiKey).values(expires_at=utcnow()))
            case _:
                await session.execute(update(User).where(User.id == owner.id).values(is_active=False))
        assert "end" not in [event.name for event in await stream.rest()], "it was rotated"


@pytest.mark.parametrize("opened", ["project", "project's inbox"], indirect=True)
async def test_stream_of_a_project_ends_with_the_membership(
    opened: AbstractAsyncContextManager[StreamReader], session: AsyncSession, owner: User
) -> None:
    """Regression: a stream without a run stayed open, silent, until its life was over."""
    async with opened as stream:
        assert stream.response.status_code == 200
        await session.execute(delete(Membership).where(Membership.user_id == owner.id))
        assert "end" not in [event.name for event in await stream.rest()], "it was rotated"


@pytest.mark.parametrize("opened", ["run", "project and run"], indirect=True)
@pytest.mark.parametrize("what", ["membership ended", "task is private"])
async def test_stream_ends_when_its_run_is_not_visible_any_more(
    api: httpx.AsyncClient,
    opened: AbstractAsyncContextManager[StreamReader],
    url: str,
    session: AsyncSession,
    project: Project,
    owner: User,
    what: str,
) -> None:
    other = await make_user(session, projects=[project])
    async with opened as stream:
        assert stream.response.status_code == 200
        if what == "membership ended":
            await session.execute(delete(Membership).where(Membership.user_id == owner.id))
        else:
            await session.execute(update(Task).values(created_by_id=other.id))
        assert "end" not in [event.name for event in await stream.rest()], "it was rotated"
    assert (await api.get(url)).status_code in {403, 404}
