"""Write events to the ledger; no other module does (ADR 60).

An event is written by the statement that makes the change, or in its transaction. A wake-up of readers may be lost.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import CTE, ColumnElement, Uuid, any_, bindparam, func, insert, literal_column, null, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import after_commit
from app.db.statements import Prepared
from app.enums import EventType, PayloadKind
from app.json_types import JsonDict
from app.models import Event, EventSnapshot, Project, Run, Task, WebhookEndpoint
from app.models.base import AnyColumn, constant
from app.services.access.principal import ProjectRef
from app.services.views.runs import RunRow, run_columns, run_out
from app.services.views.tasks import TaskRow, select_tasks, task_out

# The key in a session's `info` of the function that wakes readers (`runtime.py`).
WAKE = "wake_ledger_readers"
# The size of a task may be megabytes, and a batch may change hundreds of tasks.
_SNAPSHOTS_AT_ONCE = 20
# Whether an endpoint of the event's project wants full bodies.
_SNAPSHOT_WANTED = (
    select(WebhookEndpoint.id)
    .where(
        # Named as text: SQLAlchemy cannot correlate a subquery with a RETURNING.
        WebhookEndpoint.project_id == literal_column("events.project_id", Event.project_id.type),
        WebhookEndpoint.enabled,
        WebhookEndpoint.payload == constant(PayloadKind.FULL),
    )
    .exists()
)


def insert_event_cte(
    source: CTE, type_: EventType | ColumnElement[str], *conditions: ColumnElement[bool], **columns: Any
) -> CTE:
    """Return a CTE that inserts an event for each row of `source` under `conditions`; `columns` are SQL over it."""
    values = {"type": constant(type_) if isinstance(type_, EventType) else type_, **columns}
    rows = select(*values.values()).select_from(source).where(*conditions)
    return (
        insert(Event)
        .from_select(list(values), rows)
        .returning(Event.id, Event.task_id, Event.run_id, _SNAPSHOT_WANTED.label("snapshot_wanted"))
        .cte("recorded")
    )


class Recorded(NamedTuple):
    """A new event: the `recorded_columns` of a statement that records events."""

    event_id: UUID
    event_task_id: UUID | None
    event_run_id: UUID | None
    snapshot_wanted: bool


def recorded_columns(recorded: CTE) -> list[ColumnElement[object]]:
    """Return the columns of each `Recorded` of a CTE made by `insert_event_cte`, for `publish_recorded`."""
    return [
        recorded.c.id.label("event_id"),
        recorded.c.task_id.label("event_task_id"),
        recorded.c.run_id.label("event_run_id"),
        recorded.c.snapshot_wanted,
    ]


# The same columns for a statement that records no event.
NO_EVENT = tuple(
    null().label(name) for name in ("event_id", "event_task_id", "event_run_id", "snapshot_wanted")
)


def as_data(**fields: AnyColumn) -> ColumnElement[JsonDict]:
    """Return the SQL expression for the JSON object `data` of an event. Fields with the value NULL are left out."""
    pairs: list[AnyColumn] = []
    for name, value in fields.items():
        pairs += [literal_column(f"'{name}'"), value]
    return func.jsonb_strip_nulls(func.jsonb_build_object(*pairs))


async def publish_recorded(session: AsyncSession, events: Iterable[Recorded | None]) -> None:
    """Store the snapshots for full bodies of events that were recorded, and wake readers after the commit."""
    recorded = [event for event in events if event is not None]
    if recorded:
        wake_readers(session)
        wanted = [event for event in recorded if event.snapshot_wanted]
        for start in range(0, len(wanted), _SNAPSHOTS_AT_ONCE):
            await _store_snapshots(session, wanted[start : start + _SNAPSHOTS_AT_ONCE])


async def _store_snapshots(session: AsyncSession, wanted: Sequence[Recorded]) -> None:
    task_ids = {"ids": [event.event_task_id for event in wanted]}
    tasks = {found.task.id: found for found in await _TASKS.all(session, task_ids)}
    run_ids = [event.event_run_id for event in wanted if event.event_run_id is not None]
    runs = {run.id: run for run in await _RUNS.all(session, {"ids": run_ids})} if run_ids else {}
    snapshots = [
        {
            "event_id": event.event_id,
            "snapshot": await _snapshot(
                tasks[event.event_task_id],
                None if event.event_run_id is None else runs.get(event.event_run_id),
            ),
        }
        for event in wanted
        if event.event_task_id is not None
    ]
    await session.execute(insert(EventSnapshot), snapshots)


class _Subject(NamedTuple):
    task: TaskRow
    project: ProjectRef


_IDS = bindparam("ids", type_=ARRAY(Uuid))
_TASKS = Prepared(
    select_tasks()
    .add_columns(Project.id.label("project_id"), Project.organization_id, Project.name.label("project_name"))
    .join(Project, Project.id == Task.project_id)
    .where(Task.id == any_(_IDS)),
    _Subject,
)
_RUNS = Prepared(select(*run_columns()).where(Run.id == any_(_IDS)), RunRow)


async def _snapshot(subject: _Subject, run: RunRow | None) -> JsonDict:
    # Without links: a snapshot is stored and sent, and links work without a key.
    snapshot: JsonDict = {"task": await task_out(subject.task, subject.project, None)}
    if run is not None:
        snapshot["run"] = await run_out(run, None)
    # Encoded as for sending, so that times and ids have the form of the wire.
    encoded = orjson.dumps(snapshot, default=str, option=orjson.OPT_UTC_Z)
    plain: JsonDict = orjson.loads(encoded)
    return plain


async def record(session: AsyncSession, type_: EventType, **columns: object) -> None:
    """Add an event that is not about a task to the ledger."""
    await session.execute(insert(Event).values(type=type_, **columns))
    wake_readers(session)


def wake_readers(session: AsyncSession) -> None:
    """Wake the readers of the ledger after the session's transaction commits."""
    if (wake := session.info.get(WAKE)) is not None:
        after_commit(session, wake)
