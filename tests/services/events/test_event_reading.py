"""Pages of events, and the place from which a reader continues (contract 14)."""

from collections.abc import Sequence
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import EventType, RunStatus
from app.errors import InvalidInput
from app.models import Event, EventSnapshot, Project, Run, User
from app.services.access.principal import Principal
from app.services.events.cursor import START
from app.services.events.event_reading import find_end, parse_types, read_events
from app.services.events.event_types import VALID_SELECTORS
from app.services.events.run_ledger import record_for_runs
from tests.services.events.conftest import Reader, note, page
from tests.support.database.queries import recorded
from tests.support.factories import make_run, make_task
from tests.support.webhooks import make_endpoint


async def test_empty_page_returns_the_place_it_was_given(
    sessions: SessionFactory, principal: Principal
) -> None:
    first = await page(sessions, principal)

    assert first == {"results": [], "next_after": str(START), "truncated": False}
    assert await page(sessions, principal, after=first["next_after"]) == first


async def test_end_of_the_ledger_is_behind_all_that_can_be_read(
    sessions: SessionFactory, project: Project, principal: Principal, task_id: UUID
) -> None:
    async with unit_of_work(sessions) as session:
        assert await find_end(session) == START
        await note(session, project, task_id, 1)
    await Reader(sessions, principal).has_seen(1)

    async with unit_of_work(sessions) as session:
        end = await find_end(session)
        assert await read_events(session, principal, end, limit=1) == []


def test_unknown_type_of_a_list_is_refused() -> None:
    assert parse_types(None) is None
    assert parse_types("run.*, task.created") == ["run.*", "task.created"]
    with pytest.raises(InvalidInput) as refused:
        parse_types("run.*,nothing")
    assert refused.value.body == {
        "type": "validation_error",
        "code": "invalid_choice",
        "detail": f'"nothing" is not a valid choice; choose from {", ".join(VALID_SELECTORS)}.',
        "attr": "type",
    }


async def recording(engine: AsyncEngine, sessions: SessionFactory, runs: Sequence[Run]) -> int:
    """Record an event of each run in one transaction, and return the number of statements."""
    events = [(run.id, EventType.RUN_ARTIFACT_ADDED, {"artifact_id": "a"}) for run in runs]
    async with recorded(engine) as statements, unit_of_work(sessions) as own:
        await record_for_runs(own, events)
    return len(statements)


async def snapshots_of_runs(session: AsyncSession) -> dict[UUID | None, tuple[str, str]]:
    """Return the ids of the task and of the run in the snapshot of the event of each run."""
    rows = await session.execute(
        select(Event.run_id, EventSnapshot.snapshot).join(EventSnapshot, EventSnapshot.event_id == Event.id)
    )
    return {run_id: (snapshot["task"]["id"], snapshot["run"]["id"]) for run_id, snapshot in rows}


async def test_snapshots_of_many_events_take_the_statements_of_one(
    engine: AsyncEngine, sessions: SessionFactory, session: AsyncSession, project: Project, owner: User
) -> None:
    """Regression: the recovery of many runs read two rows for each of them, one after another."""
    await make_endpoint(session, project=project, created_by=owner, url="http://127.0.0.1/", payload="full")
    runs = []
    for _ in range(4):
        task = await make_task(session, project=project, created_by=owner)
        runs.append(await make_run(session, task=task, status=RunStatus.IN_PROGRESS))

    one = await recording(engine, sessions, runs[:1])
    many = await recording(engine, sessions, runs[1:])

    assert many == one
    assert await snapshots_of_runs(session) == {run.id: (str(run.task_id), str(run.id)) for run in runs}
