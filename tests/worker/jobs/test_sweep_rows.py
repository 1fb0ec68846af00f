"""The chores that delete rows after their time: each table loses what is past it, and keeps the rest."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.clock import utcnow
from app.db import unit_of_work
from app.enums import RunStatus
from app.ids import new_id
from app.models import (
    ApiKey,
    ConsoleSession,
    GithubDelivery,
    IdempotencyKey,
    Notification,
    Presence,
    RunCredential,
    RunEventId,
)
from app.worker.jobs.sweep_rows import sweep_rows
from tests.fixtures.worker import Workshop
from tests.support.database.faults import refusing_deletions
from tests.support.devices import make_device, make_pending, make_presence
from tests.support.factories import added, make_key, make_run, make_task

MINUTE = timedelta(minutes=1)


async def left(workshop: Workshop, column: Any) -> list[Any]:
    async with unit_of_work(workshop.sessions) as session:
        return list(await session.scalars(select(column)))


async def test_presence_and_notifications_past_their_time_are_deleted(workshop: Workshop) -> None:
    now = utcnow()
    async with unit_of_work(workshop.sessions) as session:
        task = await make_task(session, project=workshop.project, created_by=workshop.owner)
        gone, here = [await make_device(session, user=workshop.owner) for _ in range(2)]
        await make_presence(session, task=task, device=gone, age=MINUTE)
        await make_presence(session, task=task, device=here, age=MINUTE / 2)
        for age in (timedelta(days=30), timedelta(days=30) - MINUTE):
            await make_pending(session, task=task, device=here, created_at=now - age)

    await sweep_rows(workshop.arq_context)
    await sweep_rows(workshop.arq_context)

    assert await left(workshop, Presence.push_token_id) == [here.id]
    assert await left(workshop, Notification.created_at) == [now - timedelta(days=30) + MINUTE]


async def test_credentials_keys_and_ids_past_their_time_are_deleted(workshop: Workshop) -> None:
    now, day = utcnow(), timedelta(days=1)
    async with unit_of_work(workshop.sessions) as session:
        await make_key(session, user=workshop.owner)
        key_id = await session.scalar(select(ApiKey.id))
        task = await make_task(session, project=workshop.project, created_by=workshop.owner)
        for name, extra in (("past", timedelta(0)), ("long past", MINUTE), ("kept", -MINUTE)):
            run = await make_run(
                session, task=task, status=RunStatus.FAILED, completed_at=now - day - extra, branch=name
            )
            await added(session, RunEventId(run_id=run.id, event_id=name, kept=True))
            await added(
                session,
                RunCredential(run_id=run.id, encrypted_token=name, created_at=now - day - extra),
            )
            await added(session, GithubDelivery(delivery_id=name, received_at=now - 7 * day - extra))
            await added(
                session,
                IdempotencyKey(
                    project_id=workshop.project.id,
                    user_id=workshop.owner.id,
                    key=name,
                    request_hash="0" * 64,
                    status=201,
                    body=b"{}",
                    created_at=now - day - extra,
                ),
            )
            await added(
                session,
                ConsoleSession(
                    id=new_id(),
                    key_id=key_id,
                    secret_hash=name,
                    created_at=now - 30 * day,
                    last_used_at=now - 14 * day - extra,
                    expires_at=now + day,
                    user_agent=name,
                    address="",
                ),
            )

    await sweep_rows(workshop.arq_context)
    await sweep_rows(workshop.arq_context)

    for column in (
        RunEventId.event_id,
        RunCredential.encrypted_token,
        GithubDelivery.delivery_id,
        IdempotencyKey.key,
        ConsoleSession.secret_hash,
    ):
        assert await left(workshop, column) == ["kept"], column


async def test_table_that_cannot_be_swept_does_not_stop_the_others(
    workshop: Workshop, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: the tables behind one that failed were never swept."""
    past = utcnow() - timedelta(days=8)
    async with unit_of_work(workshop.sessions) as session:
        task = await make_task(session, project=workshop.project, created_by=workshop.owner)
        run = await make_run(session, task=task)
        await added(session, RunCredential(run_id=run.id, encrypted_token="past", created_at=past))
        await added(session, GithubDelivery(delivery_id="past", received_at=past))

    async with refusing_deletions(engine, "run_credentials"):
        await sweep_rows(workshop.arq_context)

    assert await left(workshop, RunCredential.encrypted_token) == ["past"]
    assert await left(workshop, GithubDelivery.delivery_id) == []
    assert "rows.not_swept" in caplog.text
