"""The size of the transactions that relay events to webhook endpoints."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.models import Event, Project, Task, User, WebhookEndpointDelivery
from app.services.events.cursor import SETTLED
from app.services.webhook_endpoints import relay
from tests.support.waiting import eventually
from tests.support.webhooks import make_endpoint, record_event


async def test_relay_makes_few_deliveries_at_a_time_and_all_of_an_event_together(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Regression: 500 events for 20 endpoints, with full bodies, could be 200 MB in one statement."""
    monkeypatch.setattr(relay, "MOST_DELIVERIES", 5)
    for index in range(2):
        await make_endpoint(session, project=project, created_by=owner, url=f"http://127.0.0.1/{index}")
    for _ in range(5):
        await record_event(sessions, task)

    async def are_readable() -> bool:
        readable = select(func.count()).select_from(Event).where(Event.transaction_id < SETTLED)
        return await session.scalar(readable) == 5

    await eventually(are_readable)
    relayed, made = [], []
    for _ in range(4):
        async with unit_of_work(sessions) as own:
            relayed.append(await relay.relay_events(own, link="", batch=10))
        made.append(await session.scalar(select(func.count()).select_from(WebhookEndpointDelivery)))

    assert relayed == [2, 2, 1, 0]
    assert made == [4, 8, 10, 10]
