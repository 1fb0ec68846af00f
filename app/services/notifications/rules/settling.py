"""Update deferred notices when presence changes: drop those that were seen; others fall due when their person leaves.

See contract 16. The update is a part of the statement that writes presence, so that no event comes between the two.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    bindparam,
    case,
    exists,
    false,
    func,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import aliased

from app.enums import NotificationDecision
from app.models import Event, Notification, Presence, QuestionSnooze
from app.models.base import UtcDateTime, constant, literal_int
from app.services.notifications.rules.deciding import LAPSE
from app.services.notifications.rules.decision_transitions import IS_HELD, decision_update, entry

SEEN = "seen"
# Numbers are assigned before commits are ordered, so the greatest number is among this many last events.
_LAST_EVENTS = 100


def newest_seq(project_id: ColumnElement[int]) -> ColumnElement[int]:
    """Return the SQL expression for the greatest event number in a project's ledger, or 0."""
    last = (
        select(Event.seq)
        .where(Event.project_id == project_id)
        .order_by(Event.transaction_id.desc(), Event.seq.desc())
        .limit(literal_int(_LAST_EVENTS))
        .correlate(project_id.table)
        .subquery()
    )
    return func.coalesce(select(func.max(last.c.seq)).scalar_subquery(), literal_int(0))


_NOW = bindparam("settle_now", type_=UtcDateTime())
_LAPSE_AT = bindparam("settle_lapse", type_=UtcDateTime())


def settlement_values(now: datetime) -> dict[str, Any]:
    """Return the parameters for a statement that contains a CTE made by `settlement_cte`."""
    return {
        "settle_now": now,
        "settle_lapse": now + LAPSE,
        "settle_entry": [entry(NotificationDecision.NOT_NEEDED, SEEN, now)],
    }


def settlement_cte(source: CTE, *, is_leaving: bool) -> CTE:
    """Return a CTE that drops or releases deferred notices, for a statement that writes a presence (`source`).

    Seen are the notices up to `seen_seq`; without it, all of the task if a focused device leaves. A snoozed question is
    not dropped. The others fall due soon after the last device stopped showing the task.
    """
    held = (
        select(
            Notification.id,
            _is_seen(source, is_leaving=is_leaving).label("is_seen"),
            _is_let_go(source, is_leaving=is_leaving).label("is_let_go"),
        )
        .join(source, (source.c.task_id == Notification.task_id) & (source.c.user_id == Notification.user_id))
        .where(IS_HELD)
        # In one order everywhere, so that two transactions cannot deadlock.
        .order_by(Notification.id)
        .with_for_update(of=Notification)
        .cte("held")
    )
    seen: dict[Any, tuple[Any, Any]] = {
        Notification.due_at: (null(), func.least(Notification.due_at, _LAPSE_AT)),
        Notification.settled_at: (_NOW, Notification.settled_at),
    }
    values = decision_update(
        constant(NotificationDecision.NOT_NEEDED),
        literal_column(f"'{SEEN}'"),
        bindparam("settle_entry", type_=JSONB),
        condition=held.c.is_seen,
    )
    return (
        update(Notification)
        .where(Notification.id == held.c.id, held.c.is_seen | held.c.is_let_go)
        .values(
            values
            | {
                column: case((held.c.is_seen, if_seen), else_=other)
                for column, (if_seen, other) in seen.items()
            }
        )
        .returning(Notification.id)
        .cte("settled")
    )


def _is_seen(source: CTE, *, is_leaving: bool) -> ColumnElement[bool]:
    """Return the SQL condition that the person has seen a notice, and does not want it again at the end of a snooze."""
    is_seen = case(
        (source.c.seen_seq.is_not(None), func.coalesce(Notification.event_seq <= source.c.seen_seq, false())),
        else_=source.c.focused if is_leaving else false(),
    )
    is_snoozed = exists().where(
        QuestionSnooze.question_id == Notification.question_id,
        QuestionSnooze.user_id == Notification.user_id,
        QuestionSnooze.until > _NOW,
    )
    return is_seen & ~is_snoozed


def _is_let_go(source: CTE, *, is_leaving: bool) -> ColumnElement[bool]:
    other = aliased(Presence)
    is_watched = exists().where(
        other.task_id == source.c.task_id,
        other.user_id == source.c.user_id,
        other.push_token_id != source.c.push_token_id,
        other.focused,
        other.expires_at > _NOW,
    )
    has_gone = ~is_watched if is_leaving else ~source.c.focused & ~is_watched
    is_deferred = Notification.decision == constant(NotificationDecision.DEFERRED)
    return has_gone & is_deferred & (Notification.reason == literal_column("'presence'"))
