"""Write events to the ledger, the table of events; no other module writes to it (ADR 60).

An event is written by the statement that makes the change, or in its transaction: both are kept or neither. A statement
that changes tasks or runs contains a CTE that inserts events (`insert_event_cte`); the rows that it returns are passed
to `publish_recorded`. Readers are woken after the commit. If a wake-up is lost, they read the events a moment later,
because they also poll.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, bindparam, func, insert, literal_column, null, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import after_commit
from app.enums import EventType, PayloadKind
from app.models import Event, WebhookEndpoint
from app.models.base import constant
from app.services.events.snapshots import store_snapshots
from app.statements import Prepared

# The key in a session's `info` of the function that wakes readers (`runtime.py`).
WAKE = "wake_ledger_readers"
_WRITTEN = ("project_id", "type", "user_id", "occurred_at", "data")
# Whether an endpoint of the event's project wants full bodies.
_SNAPSHOT_WANTED = (
    select(WebhookEndpoint.id)
    .where(
        # By name: a subquery cannot be correlated with a RETURNING.
        WebhookEndpoint.project_id == literal_column("events.project_id", Event.project_id.type),
        WebhookEndpoint.enabled,
        WebhookEndpoint.payload == constant(PayloadKind.FULL),
    )
    .exists()
)


def insert_event_cte(
    source: CTE, type_: EventType | ColumnElement[str], *conditions: ColumnElement[bool], **columns: Any
) -> CTE:
    """Return a CTE that inserts an event into the ledger for each row of `source` that meets the conditions.

    Args:
        source: the CTE with the rows that the statement has changed.
        type_: the event type, or an expression over `source` for it.
        conditions: conditions on the rows of `source`.
        columns: expressions over `source` for columns of the event; at least `project_id` and `occurred_at`.

    """
    values = {"type": constant(type_) if isinstance(type_, EventType) else type_, **columns}
    rows = select(*values.values()).select_from(source).where(*conditions)
    return (
        insert(Event)
        .from_select(list(values), rows)
        .returning(Event.id, Event.task_id, Event.run_id, _SNAPSHOT_WANTED.label("snapshot_wanted"))
        .cte("recorded")
    )


def recorded_columns(recorded: CTE) -> list[ColumnElement[Any]]:
    """Return the columns of the new events in `recorded`, a CTE made by `insert_event_cte`.

    The statement with the CTE must select these columns, because `publish_recorded` reads them.
    """
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


def as_data(**fields: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the SQL expression for the JSON object `data` of an event. Fields with the value NULL are left out."""
    pairs: list[Any] = []
    for name, value in fields.items():
        pairs += [literal_column(f"'{name}'"), value]
    return func.jsonb_strip_nulls(func.jsonb_build_object(*pairs))


async def publish_recorded(session: AsyncSession, rows: Iterable[Mapping[Any, Any]]) -> None:
    """Store snapshots of task and run for webhooks with full bodies; wake readers of the ledger after the commit.

    Call this with the result rows of each statement that contains a CTE of `insert_event_cte`.

    Args:
        session: the database session that has recorded the events and already made the changes that they report.
        rows: the result rows, with `recorded_columns`. A row in which these columns are NULL recorded no event.

    """
    recorded = [row for row in rows if row["event_id"] is not None]
    if recorded:
        wake_readers(session)
        await store_snapshots(session, recorded)


async def record(session: AsyncSession, type_: EventType, **columns: Any) -> UUID:
    """Add to the ledger an event that is not about a task, in the session's transaction; return the event's id.

    Args:
        session: the database session that makes the change.
        type_: the event type.
        columns: the values of `project_id`, `user_id` and `occurred_at`, and optionally `data`.

    """
    row = await _RECORD.first(session, {"type": type_, "data": {}, **columns})
    assert row is not None
    wake_readers(session)
    event_id: UUID = row["id"]
    return event_id


def _record_statement() -> Any:  # Any: an insert of many columns
    values: Mapping[str, Any] = {
        name: bindparam(name, None, type_=Event.__table__.c[name].type) for name in _WRITTEN
    }
    return insert(Event).values(values).returning(Event.id)


_RECORD = Prepared(_record_statement())


def wake_readers(session: AsyncSession) -> None:
    """Wake the readers of the ledger after the session's transaction commits."""
    if (wake := session.info.get(WAKE)) is not None:
        after_commit(session, wake)
