"""A question of a live run of the owner's task, its notice, and a worker that delivers."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import (
    NotificationKind,
)
from app.models import (
    PushToken,
    Question,
    Run,
    Task,
)
from app.runtime import ProcessContext
from app.services.notifications import dispatch as notifications
from app.worker.loops import pushes
from app.worker.loops.pushes import release_held
from tests.support.questions import make_live_run, make_question

Deliver = Callable[[], Awaitable[int]]
Asks = Callable[..., Awaitable[Question]]


@pytest.fixture
async def run(session: AsyncSession, task: Task) -> Run:
    return await make_live_run(session, task=task)


@pytest.fixture
def settings_of_links() -> dict[str, Any]:
    """The settings that differ from those of other tests."""
    return {"public_url": "https://tasks.example", "task_url": "https://app.example/{project_id}/{task_id}"}


@pytest.fixture
def deliver(process: ProcessContext, settings_of_links: dict[str, Any]) -> Deliver:
    """Let a worker deliver what is due."""
    worker = replace(process, settings=process.settings.model_copy(update=settings_of_links))

    async def deliver() -> int:
        await release_held(worker)
        return await pushes.deliver_due(worker)

    return deliver


@pytest.fixture
def ask(sessions: SessionFactory, session: AsyncSession, task: Task, run: Run, device: PushToken) -> Asks:
    """Let the agent ask, and push that it does."""
    assert device.id

    async def ask(**question: Any) -> Question:
        asked = await make_question(session, task=task, run=run, **question)
        async with unit_of_work(sessions) as own:
            await notifications.notify_people(own, NotificationKind.AWAITING, [run.id], question_id=asked.id)
        return asked

    return ask
