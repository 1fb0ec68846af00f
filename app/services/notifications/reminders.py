"""Reminders and retractions: pushes that replace the notice of a question on its device (contract 16.7).

Each is a separate row, which is claimed, sent and settled like a notice. The history of the notice shows it.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Float, Select, and_, any_, bindparam, func, literal_column, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db.statements import Prepared
from app.enums import NotificationDecision, NotificationKind, PushPurpose, QuestionStatus
from app.ids import new_id
from app.models import Event, Notification, Question, Run
from app.models.base import constant, given_rows
from app.models.events import CURRENT_TRANSACTION
from app.services.notifications.push_messages import Delivery
from app.services.notifications.rules.decision_transitions import IS_HELD, Change, store
from app.services.notifications.rules.push_decision import ReplacedNotice, RunEndNotice
from app.services.retrying import due_rows

# False: a push service accepted the notice, and yet no device shows it.
_MAY_BE_SHOWN = Notification.decision.not_in(
    [constant(NotificationDecision.RETRACTED), constant(NotificationDecision.REJECTED)]
)
# A push service has accepted the notice, so it replaces another. A notice that only may have arrived does not.
_ACCEPTED = (NotificationDecision.SENT, NotificationDecision.DELIVERED)
_ENDING = (NotificationKind.COMPLETED, NotificationKind.FAILED, NotificationKind.CANCELLED)
_IDS = bindparam("ids", type_=ARRAY(Notification.id.type))
_IS_NOTICE = Notification.purpose == constant(PushPurpose.NOTICE)


async def remind(session: AsyncSession, sent: Iterable[Delivery], now: datetime) -> None:
    """Add a reminder of each of these notices, which were sent at `now`, if its person wants one."""
    reminders = []
    for each in sent:
        seconds = each.notice and each.notice.row.reminder_after_seconds
        if seconds and not each.is_reminder and not each.push.is_retraction:
            reminders.append(_Replacement(each.push.id, now + timedelta(seconds=seconds)))
    await _add(session, PushPurpose.REMINDER, reminders)


async def retract(session: AsyncSession, question_ids: Collection[UUID]) -> None:
    """Drop the notices of questions that this transaction closed, or retract them, also while they are sent."""
    now = utcnow()
    rows = await _CLOSED.all(session, {"ids": list(question_ids)})
    unsent = [
        Change(
            id=row.id,
            decision=NotificationDecision.NOT_NEEDED,
            reason=row.status,
            values={"due_at": None, "settled_at": now},
        )
        for row in rows
        if row.is_unsent
    ]
    await store(session, unsent, now)
    # A greater number than the notice's, so that an app prefers the retraction in any order of arrival.
    shown = [
        _Replacement(row.id, now, max(filter(None, (row.event_seq, row.closing_seq)), default=None))
        for row in rows
        if row.sent_at is not None or not row.is_unsent
    ]
    await _add(session, PushPurpose.RETRACTION, shown)


async def remind_after_snooze(
    session: AsyncSession, question_id: UUID, user_id: int, until: datetime
) -> None:
    """Add a reminder at the end of a snooze for each notice of the question that was sent to the user."""
    sent = select(Notification.id).where(
        Notification.question_id == question_id,
        Notification.user_id == user_id,
        _IS_NOTICE,
        Notification.sent_at.is_not(None),
        Notification.due_at.is_(None),
        _MAY_BE_SHOWN,
    )
    ids = await session.scalars(due_rows.lock(sent, Notification.id))
    await _add(session, PushPurpose.REMINDER, [_Replacement(id_, until) for id_ in ids])


class _Replacement(NamedTuple):
    notice_id: UUID
    due_at: datetime
    event_seq: int | None = None


async def _add(session: AsyncSession, purpose: PushPurpose, replacements: Sequence[_Replacement]) -> None:
    # A reminder that still waits is moved to the given time.
    if replacements:
        values = {
            "purpose": purpose,
            "given_id": [new_id() for _ in replacements],
            "given_notice_id": [each.notice_id for each in replacements],
            "given_due_at": [each.due_at for each in replacements],
            "given_event_seq": [each.event_seq for each in replacements],
        }
        await _ADD.perform(session, values)


async def read_replaced(
    session: AsyncSession, notice_ids: Collection[UUID | None]
) -> dict[UUID | None, ReplacedNotice]:
    rows = await _REPLACED.all(session, {"ids": list(notice_ids)})
    return {id_: ReplacedNotice(is_shown, due_at) for id_, is_shown, due_at in rows}


async def read_ends(
    session: AsyncSession, run_ids: Collection[UUID | None]
) -> dict[tuple[UUID | None, UUID | None], RunEndNotice]:
    """Return the newest notice of the end of each of these runs on each device, by run and device."""
    rows = await _ENDS.all(session, {"ids": list(run_ids)})
    return {(run_id, device_id): RunEndNotice(is_sent, due_at) for run_id, device_id, is_sent, due_at in rows}


class _Closed(NamedTuple):
    id: UUID
    sent_at: datetime | None
    event_seq: int | None
    status: QuestionStatus
    is_unsent: bool
    closing_seq: int | None


def _select_closed() -> Select[tuple[object, ...]]:
    # No worker has claimed the notice yet.
    is_untouched = and_(
        Notification.decision == constant(NotificationDecision.PENDING), Notification.attempts == 0
    )
    closing_seq = (
        select(func.max(Event.seq))
        .where(Event.transaction_id == literal_column(CURRENT_TRANSACTION), Event.run_id == Question.run_id)
        .correlate(Question)
        .scalar_subquery()
    )
    closed = (
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
            Notification.question_id == any_(_IDS),
            _IS_NOTICE,
            or_(Notification.sent_at.is_not(None), Notification.due_at.is_not(None)),
            _MAY_BE_SHOWN,
        )
    )
    return due_rows.lock(closed, Notification.id)


_CLOSED = Prepared(_select_closed(), _Closed)


_REPLACED = Prepared(
    select(
        Notification.id, and_(Notification.sent_at.is_not(None), _MAY_BE_SHOWN), Notification.due_at
    ).where(Notification.id == any_(_IDS))
)
_ENDS = Prepared(
    select(
        Notification.run_id,
        Notification.device_id,
        Notification.decision.in_([constant(decision) for decision in _ACCEPTED]),
        Notification.due_at,
    )
    .where(
        Notification.run_id == any_(bindparam("ids", type_=ARRAY(Run.id.type))),
        Notification.kind.in_([constant(kind) for kind in _ENDING]),
        Notification.device_id.is_not(None),
    )
    .order_by(Notification.created_at)
)


def _add_statement() -> Insert:
    columns = Notification.__table__.c
    given = given_rows(
        {
            "id": columns.id.type,
            "notice_id": columns.id.type,
            "due_at": columns.due_at.type,
            "event_seq": columns.event_seq.type,
        }
    )
    copied = (
        "task_id", "run_id", "user_id", "kind", "body", "title", "question_id", "urgency", "device_id", "platform",
        "created_at",
    )  # fmt: skip
    values = {
        "id": given.c.id,
        "purpose": bindparam("purpose", type_=columns.purpose.type),
        "replaces": columns.id,
        "decision": constant(NotificationDecision.PENDING),
        "event_seq": func.coalesce(given.c.event_seq, columns.event_seq),
        "due_at": given.c.due_at,
        "deferred_for": func.extract("epoch", given.c.due_at - columns.created_at).cast(Float),
        **{name: columns[name] for name in copied},
    }
    rows = select(*values.values()).join_from(given, Notification.__table__, columns.id == given.c.notice_id)
    added = insert(Notification).from_select(list(values), rows)
    return added.on_conflict_do_update(
        index_elements=[columns.replaces, columns.purpose],
        index_where=and_(columns.replaces.is_not(None), columns.due_at.is_not(None)),
        set_={name: added.excluded[name] for name in ("due_at", "deferred_for", "event_seq")},
    )


_ADD = Prepared(_add_statement())
