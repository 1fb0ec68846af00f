"""Claim what follows a sent push notice: the reminder of its question, or the retraction once the question is closed.

Reminders and retractions are claimed like notices (claims.py), but have their own due time.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any
from uuid import UUID

from sqlalchemy import any_, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import NotificationDecision, NotificationKind, PushText
from app.models import Notification, Run
from app.models.base import constant, literal_int
from app.services.notifications.claims import (
    ClaimedPushes,
    Decided,
    claimed_columns,
    delivery_of,
    give_up_lost,
    notices_of,
    set_badges,
    store_decisions,
    uncount_attempt,
)
from app.services.notifications.delivery import MESSAGES_PER_REQUEST
from app.services.notifications.messages import Delivery, Purpose
from app.services.notifications.rules.deciding import PUSH_LEASE, RunEndNotice, Sequel, decide_sequel
from app.services.notifications.rules.decision_transitions import Change
from app.services.notifications.rules.notices import Notice
from app.services.notifications.texts import closed_body
from app.statements import Prepared

_ENDING = (NotificationKind.COMPLETED, NotificationKind.FAILED, NotificationKind.CANCELLED)
# A push service has accepted the notice. One that may have arrived without that does not replace another.
_TAKEN = (NotificationDecision.SENT, NotificationDecision.DELIVERED)

# The notice of the end of a run on a device, by run and device.
_Ends = Mapping[tuple[UUID, UUID], RunEndNotice]


async def claim_sequels(session: AsyncSession) -> ClaimedPushes:
    """Claim up to `MESSAGES_PER_REQUEST` sent notices with a due reminder or retraction; return the pushes to send now.

    If a notice needs no push now, this decision is stored, and no push is returned for it. Concurrent calls claim
    different notices. A reminder or retraction of a notice that was claimed more than `MOST_CLAIMS` times is given up.
    """
    now = utcnow()
    # Usually none is due, and planning the claim takes longer than looking.
    is_due = await _IS_DUE.first(session, {"now": now}) is not None
    rows = await _CLAIM.all(session, {"now": now, "until": now + PUSH_LEASE}) if is_due else ()
    if not rows:
        return ClaimedPushes((), is_full=False)
    claimed = [delivery_of(row, now + PUSH_LEASE) for row in rows]
    deliveries = await give_up_lost(session, claimed, now, follow_up_at=None)
    notices = await notices_of(session, [each.id for each in deliveries], now)
    ends = await _read_ends(session, {each.subject.run_id for each in deliveries})
    histories = {row["id"]: row["history"] for row in rows}

    def decide_all(some: Sequence[Delivery]) -> Decided:
        pushed, changes = [], []
        for each in some:
            notice, history = notices[each.id], histories[each.id]
            is_reminded = _is_reminded(notice, history)
            end = ends.get((notice.row["run_id"], each.device_id))
            sequel = decide_sequel(notice.context, now, is_reminded=is_reminded, end=end)
            if sequel.needs_push:
                _prepare(each, notice, sequel)
                each.handling.failing_since = _failing_since(history)
                pushed.append(each)
            else:
                changes.append(_without_push(each, sequel))
        return pushed, changes

    known = [each for each in deliveries if each.id in notices]
    pushed = await store_decisions(session, known, decide_all, now)
    await set_badges(session, pushed)
    return ClaimedPushes(pushed, len(rows) == MESSAGES_PER_REQUEST)


def _is_reminded(notice: Notice, history: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a question's one reminder was sent; the end of a snooze asks for another one."""
    since = notice.context.snoozed_until
    return any(
        past["decision"] == NotificationDecision.REMINDER
        and (since is None or datetime.fromisoformat(past["at"]) >= since)
        for past in history
    )


def _failing_since(history: Sequence[Mapping[str, Any]]) -> datetime | None:
    """Return the time of the first of the failures at the end of a notice's history; None without one."""
    failures = takewhile(lambda past: past["decision"] == NotificationDecision.RETRYING, reversed(history))
    first = min((past["at"] for past in failures), default=None)
    return None if first is None else datetime.fromisoformat(first)


def _prepare(each: Delivery, notice: Notice, sequel: Sequel) -> None:
    """Turn the claimed push of a notice into its reminder or retraction."""
    is_retraction = sequel.decision is NotificationDecision.RETRACTED
    each.handling.purpose = Purpose.RETRACTION if is_retraction else Purpose.REMINDER
    each.handling.is_sequel, each.handling.reason, each.handling.notice = True, sequel.reason, notice
    if is_retraction and notice.context.question is not None:
        name = None if notice.push_text is PushText.GENERIC else notice.row["answered_by"]
        each.body = closed_body(notice.context.question, name)


def _without_push(each: Delivery, sequel: Sequel) -> Change:
    """Return the change that stores a sequel without a push, or the time to decide again."""
    change = Change(
        id=each.id,
        decision=sequel.decision,
        reason=sequel.reason,
        values={"follow_up_at": sequel.look_again_at},
    )
    return uncount_attempt(each, change)


async def _read_ends(session: AsyncSession, run_ids: Collection[UUID | None]) -> _Ends:
    rows = await _ENDS.all(session, {"run_ids": list(run_ids)})
    return {
        (row["run_id"], row["device_id"]): RunEndNotice(
            is_sent=row["decision"] in _TAKEN, due_at=row["due_at"]
        )
        for row in rows
    }


_ENDS = Prepared(
    select(Notification.run_id, Notification.device_id, Notification.decision, Notification.due_at)
    .where(
        Notification.run_id == any_(bindparam("run_ids", type_=ARRAY(Run.id.type))),
        Notification.kind.in_([constant(kind) for kind in _ENDING]),
        Notification.device_id.is_not(None),
    )
    .order_by(Notification.created_at)
)


_DUE: Sequence[Any] = (
    Notification.follow_up_at <= bindparam("now"),
    # A notice has no sequel until a worker has recorded that it was sent.
    Notification.sent_at.is_not(None),
)
_IS_DUE = Prepared(
    # Ordered, so that the index is read, also by a plan for a table without statistics.
    select(Notification.id).where(*_DUE).order_by(Notification.follow_up_at).limit(literal_int(1))
)


def _claim_statement() -> Any:  # Any: an update of many columns
    taken = (
        select(Notification.id)
        .where(*_DUE)
        .order_by(Notification.follow_up_at)
        .limit(literal_int(MESSAGES_PER_REQUEST))
        .with_for_update(skip_locked=True)
        .cte("taken")
    )
    return (
        update(Notification)
        .where(Notification.id == any_(func.array(select(taken.c.id).scalar_subquery())))
        .values(follow_up_at=bindparam("until"), attempts=Notification.attempts + 1)
        .returning(*claimed_columns(), Notification.history)
    )


_CLAIM = Prepared(_claim_statement())
