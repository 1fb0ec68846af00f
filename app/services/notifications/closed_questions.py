"""Update the push notices of questions that are closed or snoozed (contract 16).

Notices that still wait are dropped when their question closes. Notices that were sent are retracted.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, any_, bindparam, func, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import NotificationDecision
from app.models import Event, Notification, Question
from app.models.base import constant, literal_int
from app.models.events import CURRENT_TRANSACTION
from app.services.notifications.rules.decision_transitions import Change, store
from app.services.notifications.rules.settling import IS_HELD
from app.statements import Fields, Prepared

# Decisions of notices that a push service accepted but no device shows: retracted already, or rejected later.
_NOT_SHOWN = (NotificationDecision.RETRACTED, NotificationDecision.REJECTED)


async def settle_closed(session: AsyncSession, question_ids: Collection[UUID]) -> None:
    """Drop or retract the push notices of questions that the current transaction has closed.

    A notice that was not sent is dropped. For a notice that was sent, a retraction becomes due at once. A notice that a
    worker is sending at this moment is retracted once it has been sent.
    """
    now = utcnow()
    rows = await _CLOSED.all(session, {"question_ids": list(question_ids)})
    await store(session, [_retract(row, now) for row in rows], now)


def _retract(row: Fields, now: datetime) -> Change:
    may_be_shown = row["sent_at"] is not None or not row["is_unsent"]
    # A greater number, so that an app prefers the retraction to the notice in any order of arrival.
    seq = max(filter(None, (row["event_seq"], row["closing_seq"])), default=None)
    values = {"event_seq": seq, "follow_up_at": now if may_be_shown else None}
    if row["is_unsent"]:
        return Change(
            id=row["id"],
            decision=NotificationDecision.NOT_NEEDED,
            reason=row["status"],
            values=values | {"due_at": None, "settled_at": now},
        )
    return Change(id=row["id"], decision=None, values=values)


async def ring_after_snooze(session: AsyncSession, question_id: UUID, user_id: int, until: datetime) -> None:
    """Schedule a reminder at `until`, the end of a snooze, for each notice of the question that was sent to the user.

    Notices that were not sent yet are not changed: the later decision about them takes the snooze into account.
    """
    sent = (
        select(Notification.id)
        .where(
            Notification.question_id == question_id,
            Notification.user_id == user_id,
            Notification.sent_at.is_not(None),
            # What waits is decided again with the snooze.
            Notification.due_at.is_(None),
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


def _select_closed() -> Select[Any]:
    is_untouched = and_(
        Notification.decision == constant(NotificationDecision.PENDING),
        Notification.attempts == literal_int(0),
    )
    closing_seq = (
        select(func.max(Event.seq))
        .where(Event.transaction_id == literal_column(CURRENT_TRANSACTION), Event.run_id == Question.run_id)
        .correlate(Question)
        .scalar_subquery()
    )
    return (
        select(
            Notification.id,
            Notification.sent_at,
            Notification.event_seq,
            Question.status,
            or_(IS_HELD, is_untouched).label("is_unsent"),
            closing_seq.label("closing_seq"),
        )
        .join(Question, Question.id == Notification.question_id)
        .where(
            Notification.question_id == any_(bindparam("question_ids", type_=ARRAY(Question.id.type))),
            or_(Notification.sent_at.is_not(None), Notification.due_at.is_not(None)),
            Notification.decision.not_in([constant(decision) for decision in _NOT_SHOWN]),
        )
        # In one order everywhere, so that two transactions cannot deadlock.
        .order_by(Notification.id)
        .with_for_update(of=Notification)
    )


_CLOSED = Prepared(_select_closed())
