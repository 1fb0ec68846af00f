"""Record ledger events of a run that do not come from a change of its status, such as an added artifact."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import orjson
from sqlalchemy import Text, bindparam, cast, func, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db.statements import Prepared, Statement
from app.enums import EventType
from app.models import Event, Run, Task
from app.models.base import given_rows
from app.schemas.staged_artifacts import ArtifactOut
from app.services.events.activity_notes import moved_to
from app.services.events.ledger import Recorded, insert_event_cte, publish_recorded, recorded_columns


async def record_for_run(
    session: AsyncSession, run_id: UUID, type_: EventType, data: Sequence[Mapping[str, object]]
) -> None:
    """Record events of a type about a run, in the order of `data`; the run's row stays locked until the commit."""
    await record_for_runs(session, [(run_id, type_, item) for item in data])


async def record_for_runs(
    session: AsyncSession, events: Sequence[tuple[UUID, EventType, Mapping[str, object]]]
) -> None:
    """Record events about runs, in order, each with the next number of its run, whose row stays locked."""
    if events:
        values = {
            "given_run_id": [run_id for run_id, _, _ in events],
            "given_type": [type_ for _, type_, _ in events],
            # As text: the driver has no lists of JSON.
            "given_data": [orjson.dumps(data).decode() for _, _, data in events],
            "now": utcnow(),
        }
        await publish_recorded(session, await _RECORD.all(session, values))


async def record_artifacts(session: AsyncSession, run_id: UUID, added: Sequence[ArtifactOut]) -> None:
    data = [
        {"artifact_id": entry["id"], "type": entry.get("type"), "size": entry.get("size")} for entry in added
    ]
    await record_for_run(session, run_id, EventType.RUN_ARTIFACT_ADDED, data)


_NOW = bindparam("now", type_=Event.occurred_at.type)


def _record_statement() -> Statement:
    given = given_rows({"run_id": Run.id.type, "type": Event.type.type, "data": Text()}, place="place")
    added = select(given.c.run_id, func.count().label("events")).group_by(given.c.run_id).cte("added")
    counted = (
        update(Run)
        .where(Run.id == added.c.run_id)
        .values(event_count=Run.event_count + added.c.events)
        .returning(Run.id, Run.task_id, Run.project_id, (Run.event_count - added.c.events).label("before"))
        .cte("counted")
    )
    active = (
        update(Task)
        .where(Task.id.in_(select(counted.c.task_id)))
        .values(moved_to(_NOW))
        .returning(Task.id)
        .cte("active")
    )
    entries = select(
        *given.c, func.row_number().over(partition_by=given.c.run_id, order_by=given.c.place).label("number")
    ).subquery("entries")
    rows = (
        select(
            counted.c.id,
            counted.c.task_id,
            counted.c.project_id,
            (counted.c.before + entries.c.number).label("seq"),
            entries.c.type,
            cast(entries.c.data, JSONB).label("data"),
        )
        .join(entries, entries.c.run_id == counted.c.id)
        .order_by(entries.c.place)
        .cte("numbered")
    )
    recorded = insert_event_cte(
        rows,
        rows.c.type,
        project_id=rows.c.project_id,
        task_id=rows.c.task_id,
        run_id=rows.c.id,
        subject_seq=rows.c.seq,
        occurred_at=_NOW,
        data=rows.c.data,
    )
    return select(*recorded_columns(recorded)).add_cte(active)


_RECORD = Prepared(_record_statement(), Recorded)
