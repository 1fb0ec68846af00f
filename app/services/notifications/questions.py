"""Settle the notices of questions that are closed or snoozed (contract 16).

Waiting notices are not needed any more; only notices that were sent are retracted.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    any_,
    bindparam,
    case,
    func,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import NotificationDecision
from app.models import Event, Notification, Question
from app.models.base import UtcDateTime
from app.models.events import CURRENT_TRANSACTION
from app.services.notifications.rules.settling import IS_HELD
from app.statements import Prepared

# Decisions of notices that a push service accepted but no device shows: retracted already, or rejected later.
_NOT_SHOWN = (NotificationDecision.RETRACTED, NotificationDecision.REJECTED)


async def on_closed(session: AsyncSession, question_ids: Collection[UUID]) -> None:
    """Settle the notices of questions that this transaction has closed.

    A notice that a worker is sending at this moment is retracted after it has been sent (delivery.py). The deliverer
    finds due retractions by itself.
    """
    now = utcnow()
    values = {"question_ids": list(question_ids), "now": now, "at": now.isoformat()}
    await _SETTLE.perform(session, values)


async def on_snoozed(session: AsyncSession, question_id: UUID, user_id: int, until: datetime) -> None:
    """Let the notices of an open question that a user got ring again after its snooze; those that wait do so anyway."""
    sent = (
        select(Notification.id)
        .where(
            Notification.question_id == question_id,
            Notification.user_id == user_id,
            Notification.sent_at.is_not(None),
            Notification.decision.not_in(_NOT_SHOWN),
        )
        # In one order everywhere, so that two transactions cannot wait for each other.
        .order_by(Notification.id)
        .with_for_update()
    )
    ids = (await session.scalars(sent)).all()
    await session.execute(
        update(Notification)
        .where(Notification.id.in_(ids))
        .values(follow_up_at=until)
        .execution_options(synchronize_session=False)
    )


def _settle_statement() -> Any:  # Any: an Update
    now = bindparam("now", type_=UtcDateTime())
    is_untouched = and_(
        Notification.decision == literal_column(f"'{NotificationDecision.PENDING}'"),
        Notification.attempts == literal_column("0"),
    )
    may_be_shown = or_(Notification.sent_at.is_not(None), Notification.due_at.is_not(None))
    closed = (
        select(
            Notification.id,
            or_(IS_HELD, is_untouched).label("is_unsent"),
            Question.status,
            select(func.max(Event.seq))
            .where(
                Event.transaction_id == literal_column(CURRENT_TRANSACTION), Event.run_id == Question.run_id
            )
            .correlate(Question)
            .scalar_subquery()
            .label("seq"),
        )
        .join(Question, Question.id == Notification.question_id)
        .where(
            Notification.question_id == any_(bindparam("question_ids", type_=ARRAY(Question.id.type))),
            may_be_shown,
            Notification.decision.not_in([literal_column(f"'{decision}'") for decision in _NOT_SHOWN]),
        )
        # In one order everywhere, so that two transactions cannot deadlock.
        .order_by(Notification.id)
        .with_for_update(of=Notification)
        .cte("closed")
    )
    not_needed: ColumnElement[str] = literal_column(f"'{NotificationDecision.NOT_NEEDED}'")
    said = func.jsonb_build_array(
        func.jsonb_build_object(
            literal_column("'decision'"),
            not_needed,
            literal_column("'reason'"),
            closed.c.status,
            literal_column("'at'"),
            bindparam("at", type_=Text),
        )
    )
    unsent: dict[Any, tuple[Any, Any]] = {
        Notification.decision: (not_needed, Notification.decision),
        Notification.reason: (closed.c.status, Notification.reason),
        Notification.due_at: (null(), Notification.due_at),
        Notification.settled_at: (now, Notification.settled_at),
        Notification.history: (Notification.history.op("||")(said), Notification.history),
        Notification.follow_up_at: (null(), now),
        # A greater number, so that an app prefers the retraction to the notice in any order of arrival.
        Notification.event_seq: (
            Notification.event_seq,
            func.greatest(Notification.event_seq, closed.c.seq),
        ),
    }
    return (
        update(Notification)
        .where(Notification.id == closed.c.id)
        .values(
            {
                column: case((closed.c.is_unsent, if_unsent), else_=other)
                for column, (if_unsent, other) in unsent.items()
            }
        )
    )


_SETTLE = Prepared(_settle_statement())
