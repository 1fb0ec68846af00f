"""Faults of the database that concern one part of the work on webhooks: the other parts go on."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.clients.redis import RedisClient
from app.clients.wakes import WakeListener
from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.models import Event, EventCursor, Project, Task, User, WebhookEndpoint, WebhookRecovery
from app.services.events.cursor import SETTLED, START
from tests.support.database.faults import refusing_reads
from tests.support.stand_ins.receiver import Receiver
from tests.support.waiting import eventually
from tests.support.webhooks import Deliveries, make_delivery, make_endpoint, record_event


@asynccontextmanager
async def working(deliveries: Deliveries, redis: RedisClient) -> AsyncGenerator[None, None]:
    """Run the loops of a worker that send webhooks, without wakes, during the block."""
    running = asyncio.create_task(deliveries.deliverer.run(WakeListener(redis)))
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_relay_that_waits_for_a_lock_delays_no_delivery_that_is_due(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
    redis: RedisClient,
) -> None:
    """Regression: a transaction left open on one endpoint stopped all webhooks of the worker, retries and pings too."""
    held, _ = await make_endpoint(
        session, project=project, created_by=owner, url=receiver.url("held"), event_types=["task.updated"]
    )
    other, _ = await make_endpoint(
        session, project=project, created_by=owner, url=receiver.url(), event_types=["task.created"]
    )
    event_id = await record_event(sessions, task)

    async def is_readable() -> bool:
        readable = select(Event.id).where(Event.id == event_id, Event.transaction_id < SETTLED)
        return await session.scalar(readable) is not None

    await eventually(is_readable)
    async with unit_of_work(sessions) as holder:
        await holder.execute(
            select(WebhookEndpoint.id).where(WebhookEndpoint.id == held.id).with_for_update()
        )
        async with working(deliveries, redis):
            await make_delivery(session, other)
            await eventually(lambda: len(receiver.at("hook")) == 1)
            await make_delivery(session, other)
            await eventually(lambda: len(receiver.at("hook")) == 2)
            assert await deliveries.rows(event_id=event_id) == []


@pytest.mark.parametrize("table", ["event_cursors", "webhook_recoveries"])
async def test_relay_or_recovery_that_fails_stops_no_delivery_that_is_due(
    engine: AsyncEngine,
    session: AsyncSession,
    project: Project,
    owner: User,
    receiver: Receiver,
    deliveries: Deliveries,
    redis: RedisClient,
    table: str,
) -> None:
    """Regression: an event or a recovery that could not be processed stopped all webhooks for good."""
    endpoint, _ = await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    place = {"transaction_id": START.transaction_id, "seq": START.seq}
    now = utcnow()
    session.add(EventCursor(reader="webhooks", **place))
    session.add(
        WebhookRecovery(
            endpoint_id=endpoint.id, since=now - timedelta(hours=1), until=now, continued_at=now, **place
        )
    )
    await session.flush()
    await make_delivery(session, endpoint)

    async with refusing_reads(engine, table, code="P0001"), working(deliveries, redis):
        await eventually(lambda: len(receiver.messages) == 1)
