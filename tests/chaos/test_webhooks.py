"""10,000 events with workers that are killed: each is delivered, verified, and under one id."""

import os
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from app.clock import utcnow
from app.db import unit_of_work
from app.enums import DeliveryStatus, EventType
from app.ids import new_id
from app.models import Event, WebhookEndpointDelivery
from tests.support.factories import make_task
from tests.support.receiver import Answer, receiving
from tests.support.site import Site
from tests.support.waiting import eventually
from tests.support.webhooks import LOOPBACK, make_endpoint

EVENTS = int(os.environ.get("TASKBEACON_TEST_CHAOS_EVENTS", "10000"))
KILLS = 2
BATCH = 500

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]


async def test_killed_workers_lose_no_event_and_deliver_none_under_two_ids(site: Site) -> None:
    async with receiving() as receiver:
        async with unit_of_work(site.sessions) as session:
            task = await make_task(session, project=site.project, created_by=site.owner)
            _, secret = await make_endpoint(
                session, project=site.project, created_by=site.owner, url=receiver.url()
            )
        networks = {"TASKBEACON_WEBHOOK_ALLOW_PRIVATE_NETWORKS": ",".join(LOOPBACK)}
        workers = [site.start_worker(**networks) for _ in range(2)]
        written = 0

        async def write(until: int) -> None:
            nonlocal written
            while written < until:
                size = min(BATCH, until - written)
                async with unit_of_work(site.sessions) as session:
                    for seq in range(written + 1, written + size + 1):
                        session.add(
                            Event(
                                id=new_id(),
                                type=EventType.TASK_UPDATED,
                                project_id=site.project.id,
                                task_id=task.id,
                                subject_seq=seq,
                                occurred_at=utcnow(),
                                data={"changed": ["title"]},
                            )
                        )
                    await session.flush()
                written += size

        async def wait_until_received(count: int) -> None:
            async def received() -> bool:
                return len({message.id for message in receiver.messages}) >= count

            await eventually(received, within_seconds=600)

        for kill in range(1, KILLS + 1):
            await write(EVENTS * kill // (KILLS + 1))
            await wait_until_received(written - BATCH)
            victim = workers.pop(0)
            victim.kill()
            workers.append(site.start_worker(**networks))
        receiver.answers.extend([Answer(503)] * 20)
        await write(EVENTS)

        async def let_refused_come_again() -> None:
            """Make what was refused due, as it will be. What a killed worker held waits for its lease."""
            past = utcnow() - timedelta(seconds=1)
            async with unit_of_work(site.sessions) as session:
                await session.execute(
                    update(WebhookEndpointDelivery)
                    .where(
                        WebhookEndpointDelivery.status == DeliveryStatus.PENDING,
                        WebhookEndpointDelivery.leased_until.is_(None),
                    )
                    .values(due_at=past)
                )

        async def is_all_delivered() -> bool:
            await let_refused_come_again()
            async with unit_of_work(site.sessions) as session:
                delivered = await session.scalar(
                    select(func.count())
                    .select_from(WebhookEndpointDelivery)
                    .where(WebhookEndpointDelivery.status == DeliveryStatus.DELIVERED)
                )
            return delivered == EVENTS

        await eventually(is_all_delivered, within_seconds=600)

    by_seq: dict[int, set[str]] = {}
    for message in receiver.messages:
        assert message.is_signed_by(secret)
        by_seq.setdefault(message.data["seq"], set()).add(message.id)
    assert set(by_seq) == set(range(1, EVENTS + 1))
    assert all(len(ids) == 1 for ids in by_seq.values())
