"""Streams of console sessions end with their session (contract 17.5), over real HTTP."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.models import ApiKey, ConsoleSession, Project, User
from tests.support.assertions import concerning
from tests.support.factories import make_key
from tests.support.web.clients import socket_client
from tests.support.web.serving import serving
from tests.support.web.streams import following

SESSION = "/api/console/session"
Page = Callable[[], Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def open_page(application: FastAPI, session: AsyncSession, owner: User) -> AsyncGenerator[Page, None]:
    """Open a browser that has signed in, with a key of its own."""
    async with AsyncExitStack() as stack:
        base_url = await stack.enter_async_context(serving(application))

        async def open_page() -> httpx.AsyncClient:
            own = {"Sec-Fetch-Site": "same-origin"}
            page = await stack.enter_async_context(socket_client(base_url=base_url, headers=own))
            key = await make_key(session, user=owner)
            assert (await page.post(SESSION, json={"api_key": key})).status_code == 201
            return page

        yield open_page


@pytest.mark.parametrize("what", ["revoked", "expired", "inactive", "ended", "too old"])
async def test_end_with_the_session(
    open_page: Page, session: AsyncSession, project: Project, owner: User, what: str
) -> None:
    page = await open_page()
    opened = (await page.get(SESSION)).json()["id"]
    tasks = f"/api/projects/{project.id}/tasks"
    task = (await page.post(tasks, json={"title": "Say hello"})).json()["id"]
    run = (await page.post(f"{tasks}/{task}/runs")).json()["id"]
    async with (
        following(page, f"/api/projects/{project.id}/events") as of_project,
        following(page, "/api/users/@me/inbox") as of_inbox,
        following(page, f"{tasks}/{task}/runs/{run}") as of_run,
    ):
        streams = {"project": of_project, "inbox": of_inbox, "run": of_run}
        assert {stream.response.status_code for stream in streams.values()} == {200}
        match what:
            case "revoked":
                await session.execute(update(ApiKey).values(revoked_at=utcnow()))
            case "expired":
                await session.execute(update(ApiKey).values(expires_at=utcnow()))
            case "inactive":
                await session.execute(update(User).where(User.id == owner.id).values(is_active=False))
            case "ended":
                await session.execute(delete(ConsoleSession).where(ConsoleSession.id == UUID(opened)))
            case _:
                await session.execute(
                    update(ConsoleSession).values(last_used_at=utcnow() - timedelta(days=14))
                )
        for which, stream in streams.items():
            with concerning(which):
                assert "end" not in [event.name for event in await stream.rest()], "it was rotated"
    assert (await page.get(SESSION)).status_code == 401


async def test_of_other_sessions_go_on(open_page: Page, project: Project) -> None:
    first, second = await open_page(), await open_page()
    url = f"/api/projects/{project.id}/events"
    async with following(first, url) as one, following(second, url) as other:
        await second.delete(SESSION)
        await other.rest()
        await first.post(f"/api/projects/{project.id}/tasks", json={"title": "Say hello"})
        [event] = await one.take(1)
        assert event.data["type"] == "task.created"
