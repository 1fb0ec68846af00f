"""What a claim of webhook deliveries takes and reads: one probe at a time, few rows whether few or many are pending."""

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.models import Project, User
from app.security.secrets import Cipher
from app.services.retrying.policies import WEBHOOK_ATTEMPTS, WEBHOOK_LOST_ATTEMPTS
from app.services.webhook_endpoints.delivery_claims import FAILING_AFTER, claim_due, next_due
from tests.support.database.faults import rolled_back
from tests.support.database.plans import generic_plan
from tests.support.database.queries import recorded
from tests.support.webhooks import make_delivery, make_endpoint

_MANY = """
INSERT INTO webhook_endpoint_deliveries (id, endpoint_id, event_id, event_type, event_at, body, status, attempts_allowed,
    due_at, created_at)
SELECT gen_random_uuid(), endpoint_id, gen_random_uuid(), event_type, event_at, body, status, attempts_allowed,
    due_at, created_at
FROM webhook_endpoint_deliveries, generate_series(2, 10000)
"""
_TABLE = "webhook_endpoint_deliveries"


async def test_claim_reads_few_of_many_pending_deliveries(
    session: AsyncSession,
    sessions: SessionFactory,
    engine: AsyncEngine,
    settings: Settings,
    database_url: str,
    project: Project,
    owner: User,
) -> None:
    """Regression: each claim counted the claimed ones among all pending, and each pause looked for the first of all."""
    endpoint, _ = await make_endpoint(session, project=project, created_by=owner, url="http://127.0.0.1/")
    await make_delivery(session, endpoint)
    await session.execute(text(_MANY))
    await session.execute(text("ANALYZE"))
    async with recorded(engine) as statements, unit_of_work(sessions) as own:
        assert await claim_due(own, limit=10, cipher=Cipher(settings.secret_keys))
        assert await next_due(own)
    claim, first = (each for each in statements if _TABLE in each.sql)
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        plans = [await generic_plan(connection, statement) for statement in (claim, first)]
    finally:
        await connection.close()

    for plan in plans:
        assert _TABLE not in plan.scanned, plan
        assert {
            "ix_webhook_endpoint_deliveries_claimed",
            "ix_webhook_endpoint_deliveries_due",
        } <= plan.indexes


async def test_endpoint_that_refuses_everything_has_one_probe_under_way(
    session: AsyncSession, sessions: SessionFactory, settings: Settings, project: Project, owner: User
) -> None:
    """Else a probe that hangs would let each worker send one more."""
    endpoint, _ = await make_endpoint(session, project=project, created_by=owner, url="http://127.0.0.1/")
    endpoint.consecutive_failures = FAILING_AFTER
    for _ in range(3):
        await make_delivery(session, endpoint)
    claimed = []
    for _ in range(2):
        async with unit_of_work(sessions) as own:
            claimed.append(len(await claim_due(own, limit=10, cipher=Cipher(settings.secret_keys))))

    assert claimed == [1, 0]


async def test_deliveries_that_are_not_sent_are_logged_once_that_is_committed(
    session: AsyncSession,
    sessions: SessionFactory,
    settings: Settings,
    project: Project,
    owner: User,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Regression: the log said of a claim that was rolled back that it had ended a delivery."""
    endpoint, _ = await make_endpoint(session, project=project, created_by=owner, url="http://127.0.0.1/")
    endpoint.encrypted_secret = "by a key that is lost"
    await make_delivery(session, endpoint)
    await make_delivery(session, endpoint, attempts=WEBHOOK_ATTEMPTS + WEBHOOK_LOST_ATTEMPTS)
    for transaction, logged in ((rolled_back, 0), (unit_of_work, 1)):
        async with transaction(sessions) as own:
            assert await claim_due(own, limit=10, cipher=Cipher(settings.secret_keys)) == []
        events = ("webhook.results_lost", "webhook.secret_unreadable")
        assert [caplog.text.count(event) for event in events] == [logged, logged]
