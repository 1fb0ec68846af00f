"""Webhooks under faults: workers killed among 10,000 events, and receivers that hang beside one that does not."""

import os
from collections.abc import Collection, Sequence
from datetime import timedelta
from time import monotonic
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from app.clients.redis import create_redis
from app.clients.wakes import LEDGER, wake
from app.clock import utcnow
from app.db import unit_of_work
from app.enums import DeliveryStatus, EventType
from app.ids import new_id
from app.models import Event, Task, WebhookAttempt, WebhookEndpointDelivery
from tests.support.deployment.site import Site
from tests.support.factories import make_task
from tests.support.stand_ins.receiver import Receiver, Reply, receiving, refuse_unsigned
from tests.support.waiting import eventually
from tests.support.webhooks import LOOPBACK, make_endpoint

EVENTS = int(os.environ.get("TASKBEACON_TEST_CHAOS_EVENTS", "10000"))
KILLS = 2
BATCH = 500
# Each goes to an endpoint of its own, so that a killed worker holds messages of several.
TYPES = (EventType.TASK_CREATED, EventType.TASK_UPDATED, EventType.TASK_DELETED, EventType.RUN_QUEUED)
NETWORKS = {"TASKBEACON_WEBHOOK_ALLOW_PRIVATE_NETWORKS": ",".join(LOOPBACK)}
# As many as a project may have, less the one that answers.
HANGING, TOGETHER, MEASURED = 19, 50, 200

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]


async def write_events(
    site: Site, task: Task, first: int, last: int, types: Sequence[EventType] = (EventType.TASK_UPDATED,)
) -> None:
    """Write events of a task with these numbers, of these types in turn, in batches."""
    for begin in range(first, last + 1, BATCH):
        async with unit_of_work(site.sessions) as session:
            for seq in range(begin, min(begin + BATCH, last + 1)):
                session.add(
                    Event(
                        id=new_id(),
                        type=types[seq % len(types)],
                        project_id=site.project.id,
                        task_id=task.id,
                        subject_seq=seq,
                        occurred_at=utcnow(),
                        data={},
                    )
                )
            await session.flush()


async def let_refused_come_again(site: Site, endpoints: Collection[UUID]) -> None:
    """Make what was refused due, as it will be. What a killed worker held waits for its lease."""
    now = utcnow()
    free = (
        select(WebhookEndpointDelivery.id)
        .where(
            WebhookEndpointDelivery.endpoint_id.in_(endpoints),
            WebhookEndpointDelivery.status == DeliveryStatus.PENDING,
            WebhookEndpointDelivery.leased_until.is_(None),
            WebhookEndpointDelivery.due_at > now,
        )
        .with_for_update(skip_locked=True)
    )
    async with unit_of_work(site.sessions) as session:
        await session.execute(
            update(WebhookEndpointDelivery)
            .where(WebhookEndpointDelivery.id.in_(free))
            .values(due_at=now - timedelta(seconds=1))
        )


async def wait_until_delivered(site: Site, endpoints: Collection[UUID], count: int) -> None:
    """Wait for the deliveries to these endpoints: those of a test before may be in the database too."""

    async def is_all_delivered() -> bool:
        await let_refused_come_again(site, endpoints)
        async with unit_of_work(site.sessions) as session:
            delivered = await session.scalar(
                select(func.count())
                .select_from(WebhookEndpointDelivery)
                .where(
                    WebhookEndpointDelivery.endpoint_id.in_(endpoints),
                    WebhookEndpointDelivery.status == DeliveryStatus.DELIVERED,
                )
            )
        return delivered == count

    await eventually(is_all_delivered, within_seconds=600)


async def test_killed_workers_lose_no_event_and_deliver_none_under_two_ids(site: Site) -> None:
    async with receiving() as receiver:
        async with unit_of_work(site.sessions) as session:
            task = await make_task(session, project=site.project, created_by=site.owner)
            made = {
                f"/{type_}": await make_endpoint(
                    session,
                    project=site.project,
                    created_by=site.owner,
                    url=receiver.url(type_),
                    event_types=[type_],
                )
                for type_ in TYPES
            }
        endpoints = [endpoint.id for endpoint, _ in made.values()]
        secrets = {path: secret for path, (_, secret) in made.items()}
        wrong = refuse_unsigned(receiver, secrets)
        workers = [site.start_worker(**NETWORKS) for _ in range(2)]
        written, began = 0, monotonic()

        async def wait_until_received(count: int) -> None:
            await eventually(
                lambda: len({message.id for message in receiver.messages}) >= count, within_seconds=600
            )

        for kill in range(1, KILLS + 1):
            until = EVENTS * kill // (KILLS + 1)
            await write_events(site, task, written + 1, until, TYPES)
            written = until
            await wait_until_received(until - BATCH)
            workers.pop(0).kill()
            workers.append(site.start_worker(**NETWORKS))
        receiver.replies.extend([Reply(503)] * 20)
        await write_events(site, task, written + 1, EVENTS, TYPES)
        # First without the database, which has enough to do.
        await wait_until_received(EVENTS)
        await wait_until_delivered(site, endpoints, EVENTS)
        seconds = monotonic() - began

    ids: dict[int, set[str]] = {}
    for message in receiver.messages:
        ids.setdefault(message.data["seq"], set()).add(message.id)
    lost = set(range(1, EVENTS + 1)) - set(ids)
    split = [seq for seq, of_one in ids.items() if len(of_one) > 1]
    again = len(receiver.messages) - EVENTS
    counts = f"{len(lost)} lost, {len(wrong)} wrong, {len(split)} under two ids, {again} sent again"
    print(f"{EVENTS} events in {seconds:.0f} s: {counts}")  # noqa: T201 - the counts are what this test reports
    assert (lost, wrong, split) == (set(), [], [])


async def test_receivers_that_hang_do_not_delay_another(site: Site) -> None:
    """Messages arrive before one attempt at a receiver that hangs has ended; how soon, is printed."""
    async with receiving() as hanging, receiving() as receiver:
        hanging.always = Reply(hangs=True)
        async with unit_of_work(site.sessions) as session:
            task = await make_task(session, project=site.project, created_by=site.owner)
            await make_endpoint(
                session,
                project=site.project,
                created_by=site.owner,
                url=receiver.url(),
                event_types=["task.created"],
            )
        worker = site.start_worker(**NETWORKS)
        await site.wait_until_logged(worker, "worker.started")
        alone = await measure_p99(site, task, receiver)
        async with unit_of_work(site.sessions) as session:
            hung = [
                await make_endpoint(
                    session,
                    project=site.project,
                    created_by=site.owner,
                    url=hanging.url(str(number)),
                    event_types=["task.updated"],
                )
                for number in range(HANGING)
            ]
        await write_events(site, task, 1, 20)
        await eventually(lambda: hanging.under_way >= HANGING, within_seconds=60)
        before = len(receiver.messages)
        await write_events(site, task, 1, TOGETHER, [EventType.TASK_CREATED])
        await eventually(lambda: len(receiver.messages) == before + TOGETHER)
        ended = (
            select(func.count())
            .select_from(WebhookAttempt)
            .join(WebhookEndpointDelivery, WebhookEndpointDelivery.id == WebhookAttempt.delivery_id)
            .where(WebhookEndpointDelivery.endpoint_id.in_([endpoint.id for endpoint, _ in hung]))
        )
        async with unit_of_work(site.sessions) as session:
            assert await session.scalar(ended) == 0
        beside = await measure_p99(site, task, receiver)
        assert await worker.stop() == 0

    print(f"p99 {beside * 1000:.0f} ms beside {HANGING} that hang, {alone * 1000:.0f} ms without")  # noqa: T201 - what this test reports


async def measure_p99(site: Site, task: Task, receiver: Receiver) -> float:
    """Return the 99th percentile of the time from the commit of an event to the arrival of its message, in seconds."""
    redis = create_redis(site.settings.redis_url)
    began: list[float] = []
    arrived: list[float] = []
    receiver.on_message = lambda _: arrived.append(monotonic())
    for number in range(1, MEASURED + 1):
        await write_events(site, task, number, number, [EventType.TASK_CREATED])
        began.append(monotonic())
        await wake(redis, LEDGER)

        def has_come(count: int = number) -> bool:
            return len(arrived) >= count

        await eventually(has_come)
    await redis.aclose()
    took = sorted(end - begin for begin, end in zip(began, arrived, strict=True))
    return took[MEASURED * 99 // 100 - 1]
