"""The only writer of the ledger (ADR 60).

An event is written by the statement that makes the change, or in its transaction: both are kept or neither. A statement
that changes tasks or runs gets a part that records (`recording`); its rows then go to `complete`. Readers are woken after
the commit; a word that is lost costs a moment, since they also look by themselves.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, bindparam, func, insert, literal_column, null, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import after_commit
from app.enums import EventType, PayloadKind
from app.models import Event, WebhookEndpoint
from app.statements import Prepared

# Under this name a session knows how readers are woken (`runtime.py`).
WAKE = "wake_ledger_readers"
_WRITTEN = ("project_id", "type", "user_id", "occurred_at", "data")
# Whether an endpoint of the event's project wants full bodies.
_SNAPSHOT_WANTED = (
    select(WebhookEndpoint.id)
    .where(
        # By name: a RETURNING is no query that a subquery could be correlated with.
        WebhookEndpoint.project_id == literal_column("events.project_id", Event.project_id.type),
        WebhookEndpoint.enabled,
        WebhookEndpoint.payload == literal_column(f"'{PayloadKind.FULL}'"),
    )
    .exists()
)


def recording(
    source: CTE, type_: EventType | ColumnElement[str], *conditions: ColumnElement[bool], **columns: Any
) -> CTE:
    """Return the part of a statement that records an event for each row of `source` that meets the conditions.

    Args:
        source: the rows that the statement changes, as it returns them.
        type_: what happened, or an expression over `source` that says so.
        conditions: which of the rows an event is recorded of.
        columns: expressions over `source` for columns of the event: `project_id` and `occurred_at` at least.

    """
    values = {"type": literal_column(f"'{type_}'") if isinstance(type_, EventType) else type_, **columns}
    rows = select(*values.values()).select_from(source).where(*conditions)
    return (
        insert(Event)
        .from_select(list(values), rows)
        .returning(Event.id, Event.task_id, Event.run_id, _SNAPSHOT_WANTED.label("snapshot_wanted"))
        .cte("recorded")
    )


def recorded_columns(recorded: CTE) -> list[ColumnElement[Any]]:
    """Return the columns that `complete` reads, for a statement that is joined with its recorded events."""
    return [
        recorded.c.id.label("event_id"),
        recorded.c.task_id.label("event_task_id"),
        recorded.c.run_id.label("event_run_id"),
        recorded.c.snapshot_wanted,
    ]


# The same of a statement that records nothing.
NO_EVENT = tuple(
    null().label(name) for name in ("event_id", "event_task_id", "event_run_id", "snapshot_wanted")
)


def as_data(**fields: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the expression of an event's `data` made of these fields; those that are null are left out."""
    pairs: list[Any] = []
    for name, value in fields.items():
        pairs += [literal_column(f"'{name}'"), value]
    return func.jsonb_strip_nulls(func.jsonb_build_object(*pairs))


async def record(session: AsyncSession, type_: EventType, **columns: Any) -> UUID:
    """Record an event that is about no task, in the session's transaction; return its id.

    Args:
        session: the unit of work that makes the change.
        type_: what happened.
        columns: `project_id`, `user_id` and `occurred_at`; `data` if there is any.

    """
    row = await _RECORD.first(session, {"type": type_, "data": {}, **columns})
    assert row is not None
    announce(session)
    event_id: UUID = row["id"]
    return event_id


def _record_statement() -> Any:  # Any: an insert of many columns
    values: Mapping[str, Any] = {
        name: bindparam(name, None, type_=Event.__table__.c[name].type) for name in _WRITTEN
    }
    return insert(Event).values(values).returning(Event.id)


_RECORD = Prepared(_record_statement())


def announce(session: AsyncSession) -> None:
    """Wake readers once this transaction is committed."""
    if (wake := session.info.get(WAKE)) is not None:
        after_commit(session, wake)
