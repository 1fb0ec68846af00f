"""Events of a run that are not changes of its status."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, column, func, select, true, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import EventType
from app.models import Event, Run
from app.services.events.ledger import insert_event_cte, recorded_columns
from app.services.events.snapshots import finish_recorded_events
from app.statements import Prepared


async def record_of_run(
    session: AsyncSession, run_id: UUID, type_: EventType, each: Sequence[Mapping[str, Any]]
) -> None:
    """Record an event of a run for each item of `data`, in order and in the session's transaction.

    Locks the run's row until the commit: its event count numbers the events.
    """
    if each:
        values = {"run_id": run_id, "type": type_, "each": [dict(data) for data in each], "now": utcnow()}
        await finish_recorded_events(session, await _RECORD.all(session, values))


async def record_artifacts(session: AsyncSession, run_id: UUID, added: Sequence[Mapping[str, Any]]) -> None:
    """Record entries that were added to the manifest of a run."""
    each = [
        {"artifact_id": entry["id"], "type": entry.get("type"), "size": entry.get("size")} for entry in added
    ]
    await record_of_run(session, run_id, EventType.RUN_ARTIFACT_ADDED, each)


def waiting_data(waiting_for: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `data` of `run.awaiting_input` and `run.resumed`, from the state key `waiting_for`."""
    data = {"kind": waiting_for["kind"], "question_id": waiting_for.get("request_id")}
    return {name: value for name, value in data.items() if value is not None}


def _record_statement() -> Any:  # Any: a Select of many columns
    each = bindparam("each", type_=JSONB)
    added = func.jsonb_array_length(each)
    counted = (
        update(Run)
        .where(Run.id == bindparam("run_id"))
        .values(event_count=Run.event_count + added)
        .returning(Run.id, Run.task_id, Run.project_id, (Run.event_count - added).label("before"))
        .cte("counted")
    )
    entries = (
        func.jsonb_array_elements(each)
        .table_valued(column("data", JSONB), with_ordinality="place", name="entries")
        .render_derived()
    )
    rows = (
        select(
            counted.c.id,
            counted.c.task_id,
            counted.c.project_id,
            (counted.c.before + entries.c.place).label("seq"),
            entries.c.data,
        )
        .join(entries, true())
        .order_by(entries.c.place)
        .cte("numbered")
    )
    recorded = insert_event_cte(
        rows,
        bindparam("type", type_=Event.type.type),
        project_id=rows.c.project_id,
        task_id=rows.c.task_id,
        run_id=rows.c.id,
        subject_seq=rows.c.seq,
        occurred_at=bindparam("now", type_=Event.occurred_at.type),
        data=rows.c.data,
    )
    return select(*recorded_columns(recorded))


_RECORD = Prepared(_record_statement())
