"""Transactions that relay events to webhook endpoints: their size, and events that cannot be relayed."""

import json

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import SessionFactory, unit_of_work
from app.models import Event, Project, Task, User, WebhookEndpointDelivery
from app.outages import DatabaseUnavailable
from app.services.events.cursor import SETTLED
from app.services.webhook_endpoints import relay
from tests.support.database.faults import refusing, rolled_back
from tests.support.metrics import growth
from tests.support.waiting import eventually
from tests.support.webhooks import make_endpoint, record_event


async def until_readable(session: AsyncSession, count: int) -> None:
    async def are_readable() -> bool:
        readable = select(func.count()).select_from(Event).where(Event.transaction_id < SETTLED)
        return await session.scalar(readable) == count

    await eventually(are_readable)


async def test_relay_makes_few_deliveries_at_a_time_and_all_of_an_event_together(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
) -> None:
    """Regression: 500 events for 20 endpoints, with full bodies, could be 200 MB in one statement."""
    for index in range(2):
        await make_endpoint(session, project=project, created_by=owner, url=f"http://127.0.0.1/{index}")
    for _ in range(5):
        await record_event(sessions, task)

    await until_readable(session, 5)
    relayed, made = [], []
    for _ in range(4):
        async with unit_of_work(sessions) as own:
            relayed.append(await relay.relay_events(own, link="", batch=10, most=5))
        made.append(await session.scalar(select(func.count()).select_from(WebhookEndpointDelivery)))

    assert relayed == [2, 2, 1, 0]
    assert made == [4, 8, 10, 10]


async def test_event_that_cannot_be_rendered_is_skipped_and_the_others_are_relayed_once(
    engine: AsyncEngine,
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Regression: its batch was repeated for ever, and no webhook of any project was sent."""
    for payload in ("thin", "full"):
        await make_endpoint(
            session, project=project, created_by=owner, url=f"http://127.0.0.1/{payload}", payload=payload
        )
    first = await record_event(sessions, task)
    bad = await record_event(sessions, task, data=["no fields"])
    last = await record_event(sessions, task)
    await until_readable(session, 3)
    counted = growth("taskbeacon_webhook_events_skipped_total")

    async def relay_all() -> int:
        async with unit_of_work(sessions) as own:
            return await relay.relay_events(own, link="", batch=10)

    async with rolled_back(sessions) as own:
        assert await relay.relay_events(own, link="", batch=10) == 3

    # An outage, and a defect that is not the event's, skip nothing.
    for code, error in (("53300", DatabaseUnavailable), ("42501", DBAPIError)):
        async with refusing(engine, "webhook_endpoint_deliveries", code=code):
            with pytest.raises(error):
                await relay_all()
    assert (counted(), caplog.text) == (0, "")

    assert [await relay_all(), await relay_all()] == [3, 0]

    made = await session.scalars(select(WebhookEndpointDelivery.event_id))
    assert sorted(made) == sorted([first, first, last, last])
    (line,) = [json.loads(record.message) for record in caplog.records]
    assert (line["level"], line["event"]) == ("error", "webhook.event_skipped")
    assert (line["event_id"], line["event_type"], line["error"]) == (str(bad), "task.updated", "TypeError")
    assert "no fields" not in caplog.text
    assert counted() == 1


async def test_batch_of_events_that_cannot_be_rendered_is_passed(
    session: AsyncSession, sessions: SessionFactory, project: Project, owner: User, task: Task
) -> None:
    await make_endpoint(session, project=project, created_by=owner, url="http://127.0.0.1/")
    for _ in range(2):
        await record_event(sessions, task, data=["no fields"])
    await record_event(sessions, task)
    await until_readable(session, 3)

    for count in (2, 1, 0):
        async with unit_of_work(sessions) as own:
            assert await relay.relay_events(own, link="", batch=2) == count

    assert await session.scalar(select(func.count()).select_from(WebhookEndpointDelivery)) == 1
