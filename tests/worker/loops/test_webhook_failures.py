"""Faults of receivers: they are retried, logged and counted, and finally disable an endpoint."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.redis import RedisClient
from app.clients.wakes import WakeListener
from app.db import SessionFactory, unit_of_work
from app.enums import DeliveryStatus, DisabledReason
from app.models import Event, Project, Task, User, WebhookAttempt, WebhookEndpoint
from app.runtime import ProcessContext
from app.services.retrying.policies import LOOP_SECONDS, WEBHOOK_PROBES
from app.services.webhook_endpoints.delivery_claims import FAILING_AFTER, PER_ENDPOINT, next_due
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
    receiver: Receiver,
    deliveries: Deliveries,
    redis: RedisClient,
    clock: MovableClock,
    endpoint: WebhookEndpoint,
) -> None:
    def lateness() -> float | None:
        return REGISTRY.get_sample_value("taskbeacon_webhook_oldest_pending_seconds")

    for _ in range(PER_ENDPOINT + 1):
        await make_delivery(session, endpoint)
    clock.advance(seconds=7)
    receiver.always = Reply(hangs=True)

    running = asyncio.create_task(deliveries.deliverer.run(WakeListener(redis, pause=LOOP_SECONDS)))
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
    endpoint, _ = await make_endpoint(session, project=project, created_by=owner, url="https://10.0.0.1/")
    while (await deliveries.endpoint(endpoint)).enabled:
        await record_event(sessions, task)
        await deliveries.deliver()
        clock.advance(seconds=WEBHOOK_PROBES.longest.total_seconds())

    assert (await deliveries.endpoint(endpoint)).disabled_reason == DisabledReason.BLOCKED_ADDRESS
    assert await session.scalar(select(func.count()).select_from(WebhookAttempt)) == 20
    assert await session.scalar(select(Event.data["reason"].astext).order_by(Event.seq.desc()).limit(1)) == (
        "blocked_address"
    )


async def pass_time(deliveries: Deliveries, clock: MovableClock, **duration: float) -> None:
    """Let a worker send what falls due for some time; skip the time without any."""
    end = clock.now + timedelta(**duration)
    while clock.now < end:
        await deliveries.send_due()
        async with unit_of_work(deliveries.process.sessions) as session:
            due_at = await next_due(session)
        clock.now = min(end, max(due_at or end, clock.now + timedelta(seconds=1)))


async def test_receiver_that_refuses_everything_is_probed_and_gets_all_after_its_return(
    session: AsyncSession,
    receiver: Receiver,
    scripted: Deliveries,
    clock: MovableClock,
    caplog: pytest.LogCaptureFixture,
    endpoint: WebhookEndpoint,
) -> None:
    """Regression: two hundred messages were two hundred requests, look-ups of a name, and lines of the log."""
    caplog.set_level("INFO")
    for _ in range(200):
        await make_delivery(session, endpoint)
    receiver.always = Reply(503)

    await pass_time(scripted, clock, hours=1)

    assert len(receiver.messages) <= 25
    assert caplog.text.count("webhook.not_taken") <= len(receiver.messages)
    assert sum(row.attempts for row in await scripted.rows()) == len(receiver.messages)
    receiver.always = None
    await pass_time(scripted, clock, minutes=5, seconds=1)
    # All but those that wait for their next attempt.
    rows = await scripted.rows()
    assert {row.status for row in rows if row.attempts < 3} == {"delivered"}


async def test_receiver_that_stays_away_is_disabled_after_five_days_however_much_waits(
    session: AsyncSession,
    receiver: Receiver,
    scripted: Deliveries,
    clock: MovableClock,
    endpoint: WebhookEndpoint,
) -> None:
    """The first message has its ten attempts in time, though others wait: each second probe is for it."""
    receiver.always = Reply(503)
    began = clock.now
    made = [began + timedelta(milliseconds=number) for number in range(60)]
    first, *_ = [await make_delivery(session, endpoint, created_at=moment) for moment in made]

    async def probe() -> None:
        clock.now = max(clock.now, (await scripted.endpoint(endpoint)).probe_at or clock.now)
        await scripted.send_due()

    [row] = await scripted.rows(id=first.id)
    while row.status == "pending":
        clock.now = max(clock.now, row.due_at)
        await probe()
        await probe()
        attempts = row.attempts
        [row] = await scripted.rows(id=first.id)
        assert row.attempts > attempts
    assert (row.status, row.attempts) == ("failed", 10)
    assert (await scripted.endpoint(endpoint)).enabled
    clock.now = began + timedelta(days=5)
    await probe()

    assert (await scripted.endpoint(endpoint)).disabled_reason == DisabledReason.NO_SUCCESS
    assert {each.status for each in await scripted.rows()} == {"failed", "cancelled"}


async def test_receiver_that_refuses_some_messages_for_good_gets_the_others(
    session: AsyncSession,
    receiver: Receiver,
    scripted: Deliveries,
    clock: MovableClock,
    endpoint: WebhookEndpoint,
) -> None:
    for _ in range(50):
        await make_delivery(session, endpoint)
    receiver.always = Reply(400)
    await pass_time(scripted, clock, minutes=10)

    good = await make_delivery(session, endpoint)
    receiver.on_message = lambda message: setattr(
        receiver, "always", None if message.id == str(good.event_id) else Reply(400)
    )
    await pass_time(scripted, clock, minutes=10, seconds=2)

    [row] = await scripted.rows(id=good.id)
    assert (row.status, row.attempts) == ("delivered", 1)


@pytest.mark.parametrize("what", ["ping", "redeliver", "enable"])
async def test_person_who_asks_for_a_message_waits_for_no_probe(
    client: httpx.AsyncClient,
    endpoints_url: str,
    session: AsyncSession,
    receiver: Receiver,
    deliveries: Deliveries,
    clock: MovableClock,
    what: str,
    endpoint: WebhookEndpoint,
) -> None:
    old = await make_delivery(session, endpoint, status="failed")
    for _ in range(10):
        await make_delivery(session, endpoint)
    receiver.always = Reply(503)
    await deliveries.send_due()
    sent = len(receiver.messages)
    assert sent == PER_ENDPOINT
    assert (await deliveries.endpoint(endpoint)).probe_at == clock.now + WEBHOOK_PROBES.shortest
    receiver.always = None

    action = f"deliveries/{old.id}/redeliver" if what == "redeliver" else what
    response = await client.post(f"{endpoints_url}/{endpoint.id}/{action}/")
    assert response.is_success, response.text
    await deliveries.send_due()

    assert len(receiver.messages) > sent
    if what == "redeliver":
        assert receiver.messages[sent].id == str(old.event_id)
    if what == "ping":
        assert b'"ping"' in receiver.messages[sent].body


@pytest.mark.parametrize("what", ["ping", "redeliver"])
async def test_message_that_is_asked_for_during_a_probe_follows_it_at_once(
    client: httpx.AsyncClient,
    endpoints_url: str,
    session: AsyncSession,
    receiver: Receiver,
    deliveries: Deliveries,
    what: str,
    endpoint: WebhookEndpoint,
) -> None:
    """It waited up to five minutes for the next probe, as the failure of this one said."""
    old = await make_delivery(session, endpoint, status="failed")
    await session.execute(update(WebhookEndpoint).values(consecutive_failures=FAILING_AFTER))
    for _ in range(3):
        await make_delivery(session, endpoint)
    receiver.always = Reply(503, hangs=True)
    working = asyncio.create_task(deliveries.send_due())
    await eventually(lambda: receiver.under_way == 1)

    action = f"deliveries/{old.id}/redeliver" if what == "redeliver" else what
    response = await client.post(f"{endpoints_url}/{endpoint.id}/{action}/")
    assert response.is_success, response.text
    receiver.go_on.set()
    await working

    _, asked_for = receiver.messages
    assert asked_for.id == str(old.event_id) if what == "redeliver" else b'"ping"' in asked_for.body
