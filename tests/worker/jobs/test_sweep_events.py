"""The chore that keeps the ledger and the log of webhook deliveries within their retention."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.clock import utcnow
from app.db import unit_of_work
from app.enums import EventType
from app.models import Event, WebhookEndpoint, WebhookEndpointDelivery
from app.worker.jobs.sweep_rows import sweep_rows
from tests.fixtures.worker import Workshop
from tests.support.database.faults import refusing_deletions
from tests.support.factories import make_task, make_user
from tests.support.webhooks import add_event, make_delivery, make_endpoint

URL = "https://hooks.example.com/"
# As after a dump was restored.
OF_ANOTHER_CLUSTER = 2**40


async def test_chore_sweeps_adopts_and_disables(workshop: Workshop) -> None:
    now = utcnow()
    old, recent = now - timedelta(days=31), now - timedelta(days=29)
    async with unit_of_work(workshop.sessions) as session:
        task = await make_task(session, project=workshop.project, created_by=workshop.owner)
        of_task = {"project_id": task.project_id, "task_id": task.id, "subject_seq": 1}
        await add_event(session, EventType.TASK_CREATED, occurred_at=old, **of_task)
        kept = await add_event(session, EventType.TASK_UPDATED, occurred_at=recent, **of_task)
        restored = await add_event(
            session,
            EventType.TASK_UPDATED,
            occurred_at=recent,
            transaction_id=OF_ANOTHER_CLUSTER,
            **of_task,
        )
        own, _ = await make_endpoint(session, project=workshop.project, created_by=workshop.owner, url=URL)
        await make_delivery(session, own, status="delivered", created_at=old)
        delivery = await make_delivery(session, own, status="delivered", created_at=recent)
        stranger = await make_user(session)
        orphaned, _ = await make_endpoint(session, project=workshop.project, created_by=stranger, url=URL)

    await sweep_rows(workshop.arq_context)
    await sweep_rows(workshop.arq_context)

    async with unit_of_work(workshop.sessions) as session:
        of_tasks = select(Event.id).where(Event.task_id == task.id)
        assert set(await session.scalars(of_tasks)) == {kept, restored}
        assert await session.scalar(select(Event.transaction_id).where(Event.id == restored)) == 0
        assert (await session.scalars(select(WebhookEndpointDelivery.id))).all() == [delivery.id]
        enabled = select(WebhookEndpoint.id, WebhookEndpoint.enabled)
        assert {tuple(row) for row in await session.execute(enabled)} == {
            (own.id, True),
            (orphaned.id, False),
        }


async def test_step_that_fails_does_not_stop_the_others(
    workshop: Workshop, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: while old deliveries could not be deleted, no orphaned endpoint was disabled."""
    async with unit_of_work(workshop.sessions) as session:
        orphaned, _ = await make_endpoint(
            session, project=workshop.project, created_by=await make_user(session), url=URL
        )
        old = utcnow() - timedelta(days=31)
        await make_delivery(session, orphaned, status="delivered", created_at=old)

    async with refusing_deletions(engine, "webhook_endpoint_deliveries"):
        await sweep_rows(workshop.arq_context)

    async with unit_of_work(workshop.sessions) as session:
        assert not await session.scalar(select(WebhookEndpoint.enabled))
    assert "rows.not_swept" in caplog.text
