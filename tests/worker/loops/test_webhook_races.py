"""Attempts that end late, meet a change of their endpoint, or are cut off by a stop; and their order."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.redis import RedisClient
from app.clients.wakes import LEDGER, WakeListener, wake
from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import DeliveryStatus, EventType
from app.models import Event, Project, Task, User, WebhookAttempt, WebhookEndpoint, WebhookEndpointDelivery
from app.services.events.cursor import SETTLED
from app.services.retrying.policies import LOOP_SECONDS, WEBHOOK_ATTEMPTS, WEBHOOK_LEASE
from app.services.webhook_endpoints.delivery_claims import FAILING_AFTER, PER_ENDPOINT, claim_due
from app.services.webhook_endpoints.relay import relay_events
from tests.support.clock import MovableClock
from tests.support.factories import make_project, make_task, make_user
from tests.support.stand_ins.receiver import Receiver, Reply, receiving
from tests.support.waiting import eventually, next_round
from tests.support.webhooks import Deliveries, make_delivery, make_endpoint, record_event


async def test_attempt_that_ends_after_its_lease_lapsed_decides_nothing(
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
    await record_event(sessions, task)
    receiver.replies += [Reply(500, hangs=True), Reply(503)]
    late = asyncio.create_task(deliveries.deliver())
    await eventually(lambda: receiver.under_way == 1)
    clock.now += WEBHOOK_LEASE
    await Deliveries(deliveries.process, deliveries.sender).deliver()
    (decided,) = await deliveries.rows()

    clock.advance(seconds=1)
    receiver.go_on.set()
    await late

    (row,) = await deliveries.rows()
    assert (row.status, row.attempts, row.due_at) == (DeliveryStatus.PENDING, 2, decided.due_at)
    attempts = await session.execute(
        select(WebhookAttempt.n, WebhookAttempt.status_code, WebhookAttempt.next_attempt_at).order_by("n")
    )
    assert [tuple(attempt) for attempt in attempts] == [(1, 500, None), (2, 503, decided.due_at)]


@pytest.mark.parametrize(
    ("status", "becomes"), [(500, DeliveryStatus.CANCELLED), (200, DeliveryStatus.DELIVERED)]
)
async def test_endpoint_is_disabled_while_a_message_is_under_way(
    client: httpx.AsyncClient,
    sessions: SessionFactory,
    endpoints_url: str,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
    status: int,
    becomes: DeliveryStatus,
    endpoint: WebhookEndpoint,
) -> None:
    await record_event(sessions, task)
    receiver.replies.append(Reply(status, hangs=True))
    working = asyncio.create_task(deliveries.deliver())
    await eventually(lambda: receiver.under_way == 1)

    response = await client.patch(f"{endpoints_url}/{endpoint.id}", json={"enabled": False})
    receiver.go_on.set()
    await working

    assert response.status_code == 200
    (row,) = await deliveries.rows()
    assert (row.status, row.attempts) == (becomes, 1)


async def test_nothing_is_sent_unsigned_while_the_key_of_a_secret_is_missing(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Regression: each look at the delivery used up one of its attempts, ten in ten minutes."""
    endpoint, secret = await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    encrypted = endpoint.encrypted_secret
    readable = update(WebhookEndpoint).where(WebhookEndpoint.id == endpoint.id)
    await session.execute(readable.values(encrypted_secret="by a key that is lost"))
    await make_endpoint(session, project=project, created_by=owner, url=receiver.url("other"))
    for _ in range(2):
        await record_event(sessions, task)
    for _ in range(WEBHOOK_ATTEMPTS + 1):
        await deliveries.deliver()
        # Their leases lapse.
        await session.execute(update(WebhookEndpointDelivery).values(leased_until=utcnow()))

    assert {message.path for message in receiver.messages} == {"/other"}
    rows = await deliveries.rows(endpoint_id=endpoint.id)
    assert [(row.status, row.attempts) for row in rows] == [(DeliveryStatus.PENDING, 0)] * 2
    # Once for all deliveries of an endpoint.
    assert caplog.text.count("webhook.secret_unreadable") == WEBHOOK_ATTEMPTS + 1
    await session.execute(readable.values(encrypted_secret=encrypted))
    await deliveries.deliver()
    messages = receiver.at("hook")
    assert [message.is_signed_by(secret) for message in messages] == [True] * 2
    rows = await deliveries.rows(endpoint_id=endpoint.id)
    assert [(row.status, row.attempts) for row in rows] == [(DeliveryStatus.DELIVERED, 1)] * 2


async def test_relay_that_is_killed_before_its_commit_has_done_nothing(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    deliveries: Deliveries,
) -> None:
    await make_endpoint(session, project=project, created_by=owner, url="https://hooks.example.com/")
    events = {await record_event(sessions, task) for _ in range(3)}

    class KilledError(Exception):
        pass

    async def is_killed_behind_all_events() -> bool:
        relayed = 0
        with suppress(KilledError):
            async with unit_of_work(sessions) as killed:
                relayed = await relay_events(killed, link="", batch=10)
                raise KilledError
        return relayed == len(events)

    await eventually(is_killed_behind_all_events)
    assert await deliveries.rows() == []

    await deliveries.relay()

    rows = await deliveries.rows()
    assert len(rows) == len(events)
    assert {row.event_id for row in rows} == events


async def test_event_from_before_an_endpoint_is_not_sent_to_it(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
) -> None:
    await record_event(sessions, task, occurred_at=utcnow() - timedelta(seconds=1))
    await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    later = await record_event(sessions, task)

    await deliveries.deliver()

    assert [message.id for message in receiver.messages] == [str(later)]


async def test_backlog_of_events_does_not_delay_the_deliveries_that_are_due(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
    redis: RedisClient,
) -> None:
    """Regression: all events were relayed before the first attempt began."""
    deliveries = deliveries.with_limits(batch=2)
    await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    elsewhere = await make_project(session)
    stranger = await make_user(session, projects=[elsewhere])
    slow, _ = await make_endpoint(session, project=elsewhere, created_by=stranger, url=receiver.url("slow"))
    early = [await record_event(sessions, task) for _ in range(4)]
    late = await record_event(sessions, await make_task(session, project=elsewhere, created_by=stranger))

    async def is_readable() -> bool:
        readable = select(Event.id).where(Event.id == late, Event.transaction_id < SETTLED)
        return await session.scalar(readable) is not None

    await eventually(is_readable)
    # The relay of the last batch waits for this lock.
    async with unit_of_work(sessions) as holder:
        await holder.execute(
            select(WebhookEndpoint.id).where(WebhookEndpoint.id == slow.id).with_for_update()
        )
        running = asyncio.create_task(deliveries.deliverer.run(WakeListener(redis, pause=LOOP_SECONDS)))
        await eventually(lambda: len(receiver.at("hook")) == len(early))
        assert receiver.at("slow") == []
    await eventually(lambda: len(receiver.at("slow")) == 1)
    running.cancel()
    await asyncio.wait([running])


async def test_each_endpoint_has_its_first_turn_before_any_has_its_second(
    session: AsyncSession, sessions: SessionFactory, project: Project, owner: User, deliveries: Deliveries
) -> None:
    now = utcnow()
    busy, *quiet = [
        (await make_endpoint(session, project=project, created_by=owner, url=f"http://127.0.0.1/{index}"))[0]
        for index in range(3)
    ]
    for _ in range(PER_ENDPOINT):
        await make_delivery(session, busy, due_at=now - timedelta(minutes=1))
    for endpoint in quiet:
        await make_delivery(session, endpoint, due_at=now)

    async with unit_of_work(sessions) as own:
        claimed = await claim_due(own, limit=3, cipher=deliveries.process.cipher)

    assert {delivery.row.endpoint_id for delivery in claimed} == {endpoint.id for endpoint in (busy, *quiet)}


@pytest.mark.parametrize(
    ("failures", "turns"), [(0, PER_ENDPOINT), (FAILING_AFTER - 1, PER_ENDPOINT), (FAILING_AFTER, 1)]
)
async def test_endpoint_has_few_messages_under_way_and_one_that_keeps_failing_one(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    deliveries: Deliveries,
    failures: int,
    turns: int,
) -> None:
    """All endpoints of a project may hang: they must not take every turn of a worker from those of others."""
    url = "http://127.0.0.1/"
    endpoint, _ = await make_endpoint(
        session, project=project, created_by=owner, url=url, consecutive_failures=failures
    )
    for _ in range(2 * PER_ENDPOINT):
        await make_delivery(session, endpoint)

    async with unit_of_work(sessions) as own:
        claimed = await claim_due(own, limit=100, cipher=deliveries.process.cipher)
        more = await claim_due(own, limit=100, cipher=deliveries.process.cipher)

    assert (len(claimed), len(more)) == (turns, 0)


async def test_worker_delivers_beside_receivers_that_hang_and_stops_when_what_is_under_way_has_ended(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
    redis: RedisClient,
) -> None:
    """One worker that is woken: it does not poll here."""
    deliveries = deliveries.with_limits(look_seconds=3600.0)
    slow, _ = await make_endpoint(
        session, project=project, created_by=owner, url=receiver.url(), event_types=["task.updated"]
    )
    receiver.always = Reply(hangs=True)
    changes = WakeListener(redis, pause=LOOP_SECONDS)
    listening = asyncio.create_task(changes.listen())
    running = asyncio.create_task(deliveries.deliverer.run(changes))

    async with receiving() as other:
        await make_endpoint(
            session, project=project, created_by=owner, url=other.url(), event_types=["task.created"]
        )

        async def has_come(to: Receiver, count: int) -> None:
            async def came() -> bool:
                await wake(redis, LEDGER)
                return len(to.messages) == count

            await eventually(came)

        for _ in range(2 * PER_ENDPOINT):
            await record_event(sessions, task)
        await has_come(receiver, PER_ENDPOINT)
        for count in range(1, 4):
            await record_event(sessions, task, EventType.TASK_CREATED)
            await has_come(other, count)

    running.cancel()
    for _ in range(10):
        await next_round()
    assert not running.done()
    receiver.go_on.set()
    await asyncio.wait([running])
    listening.cancel()
    await asyncio.wait([listening])

    assert running.cancelled()
    statuses = [row.status for row in await deliveries.rows(endpoint_id=slow.id)]
    assert sorted(statuses) == ["delivered"] * PER_ENDPOINT + ["pending"] * PER_ENDPOINT
    assert len(receiver.messages) == PER_ENDPOINT


async def test_end_of_an_attempt_makes_room_for_the_next_at_once(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
    redis: RedisClient,
) -> None:
    deliveries = deliveries.with_limits(look_seconds=3600.0)
    await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    for _ in range(3 * PER_ENDPOINT):
        await record_event(sessions, task)
    await deliveries.relay()

    running = asyncio.create_task(deliveries.deliverer.run(WakeListener(redis, pause=LOOP_SECONDS)))

    await eventually(lambda: len(receiver.messages) == 3 * PER_ENDPOINT)
    running.cancel()
    await asyncio.wait([running])
    assert {row.status for row in await deliveries.rows()} == {"delivered"}


async def test_attempts_at_a_time_are_bounded(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
    redis: RedisClient,
) -> None:
    deliveries = deliveries.with_limits(most_attempts=2)
    receiver.always = Reply(hangs=True)
    await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    for _ in range(5):
        await record_event(sessions, task)
    await deliveries.relay()

    running = asyncio.create_task(deliveries.deliverer.run(WakeListener(redis, pause=LOOP_SECONDS)))

    await eventually(lambda: receiver.under_way >= 2)
    receiver.go_on.set()
    await eventually(lambda: len(receiver.messages) == 5)
    running.cancel()
    await asyncio.wait([running])
    assert receiver.most_under_way == 2


async def test_delivery_that_a_request_created_is_sent_when_the_worker_is_woken(
    session: AsyncSession,
    sessions: SessionFactory,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
    redis: RedisClient,
    endpoint: WebhookEndpoint,
) -> None:
    """As a redelivery does: it is no new event, so the relay finds nothing."""
    deliveries = deliveries.with_limits(look_seconds=3600.0)
    changes = WakeListener(redis, pause=LOOP_SECONDS)
    listening = asyncio.create_task(changes.listen())
    running = asyncio.create_task(deliveries.deliverer.run(changes))
    await record_event(sessions, task)

    async def has_come(count: int) -> bool:
        await wake(redis, LEDGER)
        return len(receiver.messages) == count

    await eventually(lambda: has_come(1))
    await make_delivery(session, endpoint)
    await eventually(lambda: has_come(2))

    for each in (running, listening):
        each.cancel()
        await asyncio.wait([each])
