"""The plans of the statements that settle pushes, in a table without statistics as after a burst of pushes."""

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from app.clients.push import Accepted
from app.db import SessionFactory, unit_of_work
from app.models import Project, User
from app.services.notifications import push_claims, push_delivery
from tests.support.database.plans import custom_plan, generic_plan
from tests.support.database.queries import recorded
from tests.support.devices import make_many_pending
from tests.support.factories import make_task


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
        await push_delivery.settle(session, claimed, {each.id: Accepted("ticket") for each in claimed})

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
