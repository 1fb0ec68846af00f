"""The live stream of a project (contract 14.2) while servers fail: nothing is late, lost or repeated."""

import asyncio
from dataclasses import replace
from functools import partial

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import SessionFactory, unit_of_work
from app.models import Project, Task
from app.runtime import ProcessContext
from app.services.events.cursor import START
from app.services.events.reading import find_end
from tests.support.faults import refusing_reads
from tests.support.streams import following
from tests.support.waiting import eventually, patient
from tests.support.webhooks import record_event


@pytest.fixture
def events_url(project: Project) -> str:
    return f"/api/projects/{project.id}/events"


def configure(application: FastAPI, **settings: float) -> None:
    process: ProcessContext = application.state.process
    application.state.process = replace(process, settings=process.settings.model_copy(update=settings))


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
    """It was sent when the ledger grew again: the watch knew its new end already."""
    async with following(api, events_url) as stream:
        await stream.until_silent()
        async with refusing_reads(engine, "memberships", code="57P03"):
            await record_event(sessions, task, subject_seq=1)
            await eventually(partial(is_settled, sessions))
            caplog.clear()
            await eventually(lambda: "events.not_read" in caplog.text)
        async with asyncio.timeout(patient(20)):
            [event] = await stream.take(1)
    assert event.data["data"]["seq"] == 1
