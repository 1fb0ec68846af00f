"""The decisions about a push: which may follow which, and how they are stored with their history (contract 16.12)."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Never
from uuid import UUID

import orjson
from sqlalchemy import (
    Boolean,
    ColumnElement,
    Text,
    Update,
    and_,
    case,
    cast,
    func,
    literal_column,
    or_,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.db.statements import Prepared
from app.enums import NotificationDecision as Decision
from app.json_types import JsonDict
from app.models import Notification
from app.models.base import AnyColumn, constant, given_rows

# Literal, as in the partial index: PostgreSQL does not use that index with a parameter.
IS_HELD: ColumnElement[bool] = literal_column(
    f"notifications.decision IN ('{Decision.DEFERRED}', '{Decision.HELD_QUIET_HOURS}')", Boolean
)
_HELD_BACK = {Decision.DEFERRED, Decision.HELD_QUIET_HOURS}
_NOT_SENT = {
    Decision.NOT_NEEDED,
    Decision.SUPPRESSED,
    Decision.MUTED,
    Decision.NO_ACCESS,
    Decision.COOLED_DOWN,
}
_ATTEMPTED = {Decision.SENT, Decision.REMINDER, Decision.RETRYING, Decision.REJECTED, Decision.GIVEN_UP}
# What follows a wait. A push that can no longer be decided about is given up.
_DECIDED_AGAIN = _HELD_BACK | _NOT_SENT | {Decision.PENDING, Decision.GIVEN_UP}
# Written to a notice when its reminder or retraction is sent: possible only if the device shows the notice, or may,
# because an attempt had no response. The retraction's own row becomes `retracted` too.
_REPLACED = {Decision.REMINDER, Decision.RETRACTED}

# The decisions that may follow each decision. None follows one that is not named.
TRANSITIONS: Mapping[Decision, Collection[Decision]] = {
    Decision.PENDING: _HELD_BACK | _NOT_SENT | _ATTEMPTED | {Decision.RETRACTED},
    Decision.RETRYING: _HELD_BACK | _NOT_SENT | _ATTEMPTED | _REPLACED,
    Decision.DEFERRED: _DECIDED_AGAIN,
    Decision.HELD_QUIET_HOURS: _DECIDED_AGAIN | {Decision.DIGESTED},
    Decision.SENT: _REPLACED | {Decision.DELIVERED, Decision.REJECTED},
    Decision.DELIVERED: _REPLACED,
    Decision.REMINDER: _REPLACED,
    Decision.GIVEN_UP: _REPLACED,
    Decision.NOT_NEEDED: _REPLACED,
    Decision.MUTED: _REPLACED,
    Decision.NO_ACCESS: _REPLACED,
}


def entry(decision: Decision, reason: str | None, at: datetime) -> JsonDict:
    """Return the JSON object for a decision in the history of a notification."""
    return {"decision": decision.value, "reason": reason, "at": at.isoformat()}


def decision_update(
    to: AnyColumn,
    reason: AnyColumn,
    entries: AnyColumn,
    *,
    condition: ColumnElement[bool] | None = None,
) -> dict[InstrumentedAttribute[object], object]:
    """Return the columns of an UPDATE that stores a decision in the rows that may change so (`TRANSITIONS`).

    Rows must satisfy `condition` too. `entries` is the JSON list to append to the history; nothing is appended for the
    same decision and reason, unless it is a reminder.
    """
    is_same = and_(Notification.decision == to, Notification.reason.is_not_distinct_from(reason))
    # Each reminder is a message of its own, and gets an entry of its own.
    is_shown = or_(~is_same, to == constant(Decision.REMINDER))
    applies = and_(true() if condition is None else condition, or_(is_same, _may_follow(to)))
    return {
        Notification.decision: case((applies, to), else_=Notification.decision),
        Notification.reason: case((applies, reason), else_=Notification.reason),
        Notification.history: case(
            (and_(applies, is_shown), Notification.history.op("||")(entries)), else_=Notification.history
        ),
    }


def replacement_update(
    to: AnyColumn, reason: AnyColumn, entries: AnyColumn
) -> dict[InstrumentedAttribute[object], object]:
    """Return the columns of an UPDATE of notices after an attempt to replace them; if that failed, decisions stay."""
    is_accepted = or_(*(to == constant(decision) for decision in sorted(_REPLACED)))
    failed = {
        Notification.decision: Notification.decision,
        Notification.reason: reason,
        Notification.history: Notification.history.op("||")(entries),
    }
    move = decision_update(to, reason, entries)
    return {column: case((is_accepted, move[column]), else_=value) for column, value in failed.items()}


def _may_follow(to: AnyColumn) -> ColumnElement[bool]:
    # In the order of the enum: the order of a set differs between processes, and so would the text of the SQL.
    return or_(
        *(
            and_(to == constant(target), Notification.decision.in_(map(constant, sources)))
            for target in Decision
            if (sources := [source for source in Decision if target in TRANSITIONS.get(source, ())])
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of a push notice whose row is locked: new values and, unless `decision` is None, a new decision."""

    id: UUID
    decision: Decision | None = None
    reason: str | None = None
    # Whether people see the decision in the history.
    is_shown: bool = True
    values: Mapping[str, object] = field(default_factory=dict)


async def store(session: AsyncSession, changes: Sequence[Change], now: datetime) -> None:
    """Store changes of push notices. In the history, the decisions have the time `now`."""
    alike: dict[tuple[str, ...], list[Change]] = defaultdict(list)
    for change in changes:
        alike[tuple(sorted(change.values))].append(change)
    for names, group in alike.items():
        parameters: dict[str, object] = {
            f"given_{name}": [change.values[name] for change in group] for name in names
        }
        parameters["given_id"] = [change.id for change in group]
        parameters["given_decision"] = [change.decision for change in group]
        parameters["given_reason"] = [change.reason for change in group]
        # As text: PostgreSQL would read a list of lists as a two-dimensional array.
        parameters["given_entries"] = [orjson.dumps(_entries(change, now)).decode() for change in group]
        await _store_statement(names).perform(session, parameters)


def _entries(change: Change, now: datetime) -> list[JsonDict]:
    if change.decision is None or not change.is_shown:
        return []
    return [entry(change.decision, change.reason, now)]


@cache
def _store_statement(names: tuple[str, ...]) -> Prepared[Never]:
    columns = Notification.__table__.c
    types: dict[str, Any] = {name: columns[name].type for name in names}
    types |= {"id": columns["id"].type, "decision": Text(), "reason": Text(), "entries": Text()}
    given = given_rows(types)
    statement: Update = (
        update(Notification)
        .where(Notification.id == given.c.id)
        .values(
            decision_update(
                func.coalesce(given.c.decision, Notification.decision),
                case((given.c.decision.is_(None), Notification.reason), else_=given.c.reason),
                cast(given.c.entries, JSONB),
            )
            | {columns[name]: given.c[name] for name in names}
        )
    )
    return Prepared(statement)
