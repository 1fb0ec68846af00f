"""The one writer of the ledger (ADR 60).

An event is written by the statement that makes the change, or in its transaction: both are kept or neither. What writes
many rows at once, or a single prepared statement, adds `recording(…)` to it; anything else calls `record`. Whoever reads
is woken after the commit; a word that is lost costs a moment, since readers also look by themselves.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, bindparam, func, insert, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import after_commit
from app.enums import EventType, PayloadKind
from app.models import Event, WebhookEndpoint
from app.statements import Prepared

__all__ = ["SNAPSHOT_WANTED", "WAKE", "announce", "as_data", "record", "recording", "snapshot_wanted"]

_WRITTEN = ("project_id", "type", "task_id", "run_id", "user_id", "subject_seq", "occurred_at", "data")
# Under this name a session knows how readers are woken (`runtime.py`).
WAKE = "wake_ledger_readers"
# What a statement that records an event may return: whether somebody in its project wants full bodies.
SNAPSHOT_WANTED = "snapshot_wanted"


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
    return insert(Event).from_select(list(values), rows).returning(Event.id, Event.run_id).cte("recorded")


def snapshot_wanted(project_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Return the condition that an endpoint of the project wants full bodies."""
    return (
        select(WebhookEndpoint.id)
        .where(
            WebhookEndpoint.project_id == project_id,
            WebhookEndpoint.enabled,
            WebhookEndpoint.payload == PayloadKind.FULL,
        )
        .correlate_except(WebhookEndpoint)
        .exists()
    )


async def record(session: AsyncSession, type_: EventType, **columns: Any) -> UUID:
    """Record one event in the session's transaction; return its id.

    Args:
        session: the unit of work that makes the change.
        type_: what happened.
        columns: `project_id`, `occurred_at`, and what else the event has of its columns.

    """
    row = await _RECORD.first(session, {"type": type_, "data": {}, **columns})
    assert row is not None
    announce(session)
    event_id: UUID = row["id"]
    return event_id


def announce(session: AsyncSession) -> None:
    """Wake readers once this transaction is committed; for whoever has recorded events by `recording`."""
    if (wake := session.info.get(WAKE)) is not None:
        after_commit(session, wake)


def _record_statement() -> Any:  # Any: an insert of many columns
    values: Mapping[str, Any] = {
        name: bindparam(name, None, type_=Event.__table__.c[name].type) for name in _WRITTEN
    }
    return insert(Event).values(values).returning(Event.id)


_RECORD = Prepared(_record_statement())


def as_data(**fields: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the expression of an event's `data` made of these fields; those that are null are left out."""
    pairs: list[Any] = []
    for name, value in fields.items():
        pairs += [literal_column(f"'{name}'"), value]
    return func.jsonb_strip_nulls(func.jsonb_build_object(*pairs))
