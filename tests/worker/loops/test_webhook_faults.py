"""Faults of the database that concern one part of the work on webhooks: the other parts go on."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.clients.redis import RedisClient
from app.clients.wakes import LEDGER, WakeListener, wake
from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.models import (
    Event,
    EventCursor,
    Project,
    Task,
    User,
    WebhookEndpoint,
    WebhookEndpointDelivery,
    WebhookRecovery,
)
from app.runtime import ProcessContext
from app.services.events.cursor import SETTLED, START
from app.services.retrying.policies import LOOP_SECONDS, WEBHOOK_LOST_ATTEMPTS
from tests.support.clock import MovableClock
from tests.support.database.faults import refusing_reads, refusing_some
from tests.support.metrics import growth
from tests.support.stand_ins.receiver import Receiver, Reply, ScriptedWebhookSender
from tests.support.waiting import eventually
from tests.support.webhooks import Deliveries, make_delivery, make_endpoint, record_event


@asynccontextmanager
async def working(
    deliveries: Deliveries, redis: RedisClient, changes: WakeListener | None = None
) -> AsyncGenerator[None, None]:
    """Run the loops of a worker that send webhooks during the block; without wakes unless `changes` is given."""
    running = asyncio.create_task(
        deliveries.deliverer.run(changes or WakeListener(redis, pause=LOOP_SECONDS))
    )
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
    receiver: Receiver,
    deliveries: Deliveries,
    redis: RedisClient,
    table: str,
    endpoint: WebhookEndpoint,
) -> None:
    """Regression: an event or a recovery that could not be processed stopped all webhooks for good."""
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


async def test_step_that_fails_is_not_repeated_at_each_wake(
    engine: AsyncEngine,
    session: AsyncSession,
    receiver: Receiver,
    deliveries: Deliveries,
    redis: RedisClient,
    caplog: pytest.LogCaptureFixture,
    endpoint: WebhookEndpoint,
) -> None:
    """Regression: an event that could not be relayed was tried, and logged with its stack, a hundred times a second."""
    deliveries = deliveries.with_limits(fault_seconds=3600.0)
    session.add(EventCursor(reader="webhooks", transaction_id=START.transaction_id, seq=START.seq))
    await session.flush()

    def has_come(delivery: WebhookEndpointDelivery) -> bool:
        return str(delivery.event_id) in {message.id for message in receiver.messages}

    changes = WakeListener(redis, pause=LOOP_SECONDS)
    listening = asyncio.create_task(changes.listen())

    async with refusing_reads(engine, "event_cursors", code="P0001"), working(deliveries, redis, changes):
        await eventually(lambda: "webhook.step_failed" in caplog.text)
        for _ in range(5):
            delivery = await make_delivery(session, endpoint)
            await wake(redis, LEDGER)
            await eventually(partial(has_come, delivery))

    listening.cancel()
    await asyncio.wait([listening])
    assert caplog.text.count("webhook.step_failed") == 1


async def test_operators_see_when_events_were_last_relayed(
    engine: AsyncEngine,
    deliveries: Deliveries,
    redis: RedisClient,
    clock: MovableClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Regression: nothing showed that an event stopped the relay."""

    def relayed_at() -> float | None:
        return REGISTRY.get_sample_value("taskbeacon_webhook_relayed_timestamp_seconds")

    await deliveries.relay()
    before = clock.now.timestamp()
    assert relayed_at() == before
    clock.advance(seconds=60)
    async with refusing_reads(engine, "event_cursors", code="P0001"), working(deliveries, redis):
        await eventually(lambda: "webhook.step_failed" in caplog.text)
    assert relayed_at() == before
    await deliveries.relay()
    assert relayed_at() == before + 60


async def test_result_that_cannot_be_stored_loses_no_other(
    engine: AsyncEngine,
    session: AsyncSession,
    project: Project,
    owner: User,
    receiver: Receiver,
    process: ProcessContext,
    redis: RedisClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Regression: all results of its settlement were dropped, and their messages sent again after their lease."""
    # In memory, so that all attempts end at once: the first of them is settled, and then the others together.
    deliveries = Deliveries(process, ScriptedWebhookSender(receiver))
    receiver.always = Reply(hangs=True)
    endpoint, _ = await make_endpoint(
        session, project=project, created_by=owner, url=receiver.url(), last_success_at=utcnow()
    )
    made = [(await make_delivery(session, endpoint)).id for _ in range(5)]
    # Two, since one of them may be the first.
    bad, good = made[:2], made[2:]
    counted = growth("taskbeacon_webhook_deliveries_total", outcome="delivered")

    condition = " OR ".join(f"NEW.delivery_id = '{each}'" for each in bad)
    async with refusing_some(engine, "webhook_attempts", condition), working(deliveries, redis):
        await eventually(lambda: len(receiver.messages) == 5)
        receiver.go_on.set()
        await eventually(lambda: caplog.text.count("webhook.not_settled") == 2)

    rows = {row.id: (row.status, row.leased_until is None) for row in await deliveries.rows()}
    assert rows == dict.fromkeys(bad, ("pending", False)) | dict.fromkeys(good, ("delivered", True))
    assert counted() == 3


async def test_delivery_is_given_up_if_its_results_are_lost_time_and_again(
    session: AsyncSession, receiver: Receiver, deliveries: Deliveries, endpoint: WebhookEndpoint
) -> None:
    """Regression: it was sent again every minute for good, until the number of its attempts was too large."""
    most = 10 + WEBHOOK_LOST_ATTEMPTS
    last, lost = [
        await make_delivery(session, endpoint, attempts=attempts, attempts_allowed=10)
        for attempts in (most - 1, most)
    ]
    arrived = await make_delivery(
        session, endpoint, attempts=most, attempts_allowed=10, delivered_at=utcnow(), is_manual=True
    )

    await deliveries.deliver()

    assert [message.id for message in receiver.messages] == [str(last.event_id)]
    rows = {row.id: (row.status, row.attempts) for row in await deliveries.rows()}
    assert rows == {last.id: ("delivered", most), lost.id: ("failed", most), arrived.id: ("delivered", most)}
    held = [(row.leased_until, row.is_manual) for row in await deliveries.rows()]
    assert held == [(None, False)] * 3
