"""One poll of the ledger serves all followers in this process."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import EventType
from app.models import Project, Task
from app.services.streams.ledger_watch import LedgerWatch
from tests.support.database.faults import altered
from tests.support.waiting import eventually
from tests.support.webhooks import add_event


async def test_watch_of_the_ledger_goes_on_after_a_fault(
    sessions: SessionFactory,
    engine: AsyncEngine,
    project: Project,
    task: Task,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Every follower of the process waited for ever, and nothing was logged."""
    away = altered(
        engine, "ALTER TABLE events RENAME TO planted", undo="ALTER TABLE planted RENAME TO events"
    )
    async with LedgerWatch().watching(sessions) as grown:
        async with away:
            await eventually(lambda: "events.unexpected_error" in caplog.text)
        await eventually(grown.is_set)
        grown.clear()
        async with unit_of_work(sessions) as own:
            await add_event(
                own,
                EventType.TASK_UPDATED,
                occurred_at=utcnow(),
                project_id=project.id,
                task_id=task.id,
                subject_seq=1,
            )
        await eventually(grown.is_set)
