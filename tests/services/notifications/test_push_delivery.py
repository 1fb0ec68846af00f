"""Settled pushes: the plans of the statements, in a table without statistics as after a burst of pushes; metrics."""

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.clients.pushes.push import Accepted
from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import NotificationKind
from app.models import Project, User
from app.services.notifications import devices, push_claims, push_delivery, push_receipts, push_recipients
from app.services.notifications.devices import DeadDevice
from tests.support.database.faults import rolled_back
from tests.support.database.plans import custom_plan, generic_plan
from tests.support.database.queries import recorded
from tests.support.devices import make_device, make_many_pending
from tests.support.factories import make_run, make_task
from tests.support.metrics import growth


async def test_each_settled_push_is_looked_up_once_by_its_key(
    sessions: SessionFactory, engine: AsyncEngine, project: Project, owner: User, database_url: str
) -> None:
    """The planner compared each push of a claim with every other, or read all that were due."""
    async with unit_of_work(sessions) as session:
        task = await make_task(session, project=project, created_by=owner)
        await make_many_pending(session, task=task, user=owner, count=5_000)
    async with unit_of_work(sessions) as session:
        claimed = (await push_claims.claim_due(session)).deliveries
    assert len(claimed) == push_delivery.PUSHES_PER_CLAIM

    async with recorded(engine) as statements, unit_of_work(sessions) as session:
        await push_delivery.settle(session, claimed, {each.push.id: Accepted("ticket") for each in claimed})

    [settling] = [each for each in statements if each.sql.startswith("UPDATE notifications")]
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        # Otherwise the plan depends on the rows that other tests have deleted.
        await connection.execute("ANALYZE notifications")
        # The server plans for any parameters once it has executed a statement a few times.
        for plan in (await custom_plan(connection, settling), await generic_plan(connection, settling)):
            assert plan.indexes == {"pk_notifications"}
            assert plan.readers == ["Function Scan", "Index Scan"]
    finally:
        await connection.close()


async def test_metrics_count_what_is_committed_and_once(
    sessions: SessionFactory,
    session: AsyncSession,
    project: Project,
    owner: User,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Regression: what a transaction repeats was counted and logged twice."""
    caplog.set_level("INFO")
    device = await make_device(session, user=owner)
    run = await make_run(session, task=await make_task(session, project=project, created_by=owner))
    decided = growth("taskbeacon_push_decisions_total", kind="completed", decision="pending")
    sent = growth("taskbeacon_push_outcomes_total", outcome="Accepted", reason="")
    delayed = growth("taskbeacon_push_delay_seconds_count")
    received = growth("taskbeacon_push_receipts_total", outcome="Accepted", reason="")
    transactions = (rolled_back, unit_of_work)

    for transaction in transactions:
        async with transaction(sessions) as own:
            await push_recipients.notify_people(own, NotificationKind.COMPLETED, [run.id])
    assert (decided(), caplog.text.count("push.decided")) == (1, 1)

    async with unit_of_work(sessions) as own:
        [delivery] = (await push_claims.claim_due(own)).deliveries
    for transaction in transactions:
        async with transaction(sessions) as own:
            await push_delivery.settle(own, [delivery], {delivery.push.id: Accepted("ticket")})
    assert (sent(), delayed()) == (1, 1)

    ticket = push_receipts.Ticket(delivery.push.id, "ticket", device.id, owner.id, utcnow())
    for transaction in transactions:
        async with transaction(sessions) as own:
            await push_receipts.settle_receipts(own, [ticket], {"ticket": Accepted("ticket")})
    assert received() == 1


async def test_device_that_is_gone_is_logged_once_it_is_forgotten(
    sessions: SessionFactory, session: AsyncSession, owner: User, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: a settlement that was rolled back logged it, and its repetition again."""
    caplog.set_level("INFO")
    device = await make_device(session, user=owner)
    for transaction, logged in ((rolled_back, 0), (unit_of_work, 1)):
        async with transaction(sessions) as own:
            await devices.forget_dead(own, [DeadDevice(device.id, owner.id, utcnow())])
        assert caplog.text.count("push.token_dead") == logged
