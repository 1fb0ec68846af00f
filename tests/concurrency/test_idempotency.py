"""Two requests with one `Idempotency-Key` at the same time: one is performed, both get its answer."""

import asyncio
from collections.abc import AsyncGenerator

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

from app.db import SessionFactory, unit_of_work
from app.models import Project, Run, User
from tests.support.callers import bearer
from tests.support.factories import make_key, make_task
from tests.support.fakes import RecordingQueue

KEY = {"Idempotency-Key": "once"}


@pytest.fixture
async def writer(
    application: FastAPI, sessions: SessionFactory, owner: User
) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with unit_of_work(sessions) as session:
        key = await make_key(session, user=owner)
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://testserver", headers=bearer(key)
    ) as client:
        yield client


@pytest.mark.parametrize("route", ["run", "runs"])
async def test_concurrent_requests_make_one_run(
    writer: httpx.AsyncClient,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    tasks_url: str,
    queue: RecordingQueue,
    route: str,
) -> None:
    async with unit_of_work(sessions) as session:
        task = await make_task(session, project=project, created_by=owner)

    answers = await asyncio.gather(
        *(writer.post(f"{tasks_url}/{task.id}/{route}", headers=KEY) for _ in range(5))
    )

    assert {answer.is_success for answer in answers} == {True}
    assert len({answer.content for answer in answers}) == 1
    assert sorted(answer.headers.get("idempotent-replayed", "") for answer in answers) == [""] + ["true"] * 4
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Run)) == 1
    assert len(queue.jobs) == int(route == "run")
