"""Faults of receivers: they are retried, logged and counted, and finally disable an endpoint."""

import asyncio

from prometheus_client import REGISTRY
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.redis import RedisClient
from app.clients.wakes import WakeListener
from app.db import SessionFactory
from app.enums import DeliveryStatus, DisabledReason
from app.models import (
    Event,
    Project,
    Task,
    User,
    WebhookEndpoint,
)
from app.runtime import ProcessContext
from app.services.webhook_endpoints.claims import PER_ENDPOINT
from tests.support.clock import MovableClock
from tests.support.metrics import growth
from tests.support.stand_ins.receiver import Receiver, Reply, ScriptedWebhookSender
from tests.support.waiting import eventually
from tests.support.webhooks import Deliveries, attempts_of, make_delivery, make_endpoint, record_event


async def test_receiver_that_does_not_answer_in_time_gets_the_message_again(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    process: ProcessContext,
) -> None:
    deliveries = Deliveries(process, ScriptedWebhookSender(receiver, total_seconds=0.2))
    await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    receiver.always = Reply(hangs=True)
    await record_event(sessions, task)

    await deliveries.deliver()

    (row,) = await deliveries.rows()
    (attempt,) = await attempts_of(sessions, row)
    assert (row.status, attempt.error, attempt.status_code) == (DeliveryStatus.PENDING, "timeout", None)
    assert attempt.duration_ms >= 200
    assert attempt.next_attempt_at == row.due_at


async def test_operators_see_how_attempts_end(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
    clock: MovableClock,
) -> None:
    await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    receiver.replies.append(Reply(500))
    await record_event(sessions, task)
    failed = growth("taskbeacon_webhook_deliveries_total", outcome="http_5xx")
    delivered = growth("taskbeacon_webhook_deliveries_total", outcome="delivered")
    needed = growth("taskbeacon_webhook_attempts_sum")
    took = growth("taskbeacon_webhook_attempt_seconds_count")

    await deliveries.deliver()

    assert (failed(), delivered(), needed(), took()) == (1, 0, 0, 1)
    (row,) = await deliveries.rows()
    clock.now = row.due_at
    await deliveries.deliver()
    assert (failed(), delivered(), needed(), took()) == (1, 1, 2, 2)


async def test_operators_see_how_late_deliveries_are(
    session: AsyncSession,
    project: Project,
    owner: User,
    receiver: Receiver,
    deliveries: Deliveries,
    redis: RedisClient,
    clock: MovableClock,
) -> None:
    def lateness() -> float | None:
        return REGISTRY.get_sample_value("taskbeacon_webhook_oldest_pending_seconds")

    endpoint, _ = await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    for _ in range(PER_ENDPOINT + 1):
        await make_delivery(session, endpoint)
    clock.advance(seconds=7)
    receiver.always = Reply(hangs=True)

    running = asyncio.create_task(deliveries.deliverer.run(WakeListener(redis)))
    await eventually(lambda: lateness() == 7)
    receiver.go_on.set()
    await eventually(lambda: lateness() == 0)
    running.cancel()
    await asyncio.wait([running])
    assert {row.status for row in await deliveries.rows()} == {"delivered"}


async def test_nothing_that_is_deleted_meanwhile_breaks_a_settlement(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
) -> None:
    await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    await record_event(sessions, task)
    receiver.always = Reply(hangs=True)
    working = asyncio.create_task(deliveries.deliver())

    async def has_it() -> bool:
        return bool(receiver.messages)

    await eventually(has_it)
    await session.execute(delete(WebhookEndpoint))
    receiver.go_on.set()
    await working

    assert await deliveries.rows() == []


async def test_endpoint_that_is_blocked_twenty_times_running_is_disabled(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    deliveries: Deliveries,
    clock: MovableClock,
) -> None:
    """All at one instant: no retry comes between."""
    assert clock.now
    endpoint, _ = await make_endpoint(session, project=project, created_by=owner, url="https://10.0.0.1/")
    for _ in range(20):
        assert (await deliveries.endpoint(endpoint)).enabled
        await record_event(sessions, task)
        await deliveries.deliver()

    assert (await deliveries.endpoint(endpoint)).disabled_reason == DisabledReason.BLOCKED_ADDRESS
    assert await session.scalar(select(Event.data["reason"].astext).order_by(Event.seq.desc()).limit(1)) == (
        "blocked_address"
    )
