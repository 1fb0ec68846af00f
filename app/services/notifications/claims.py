"""Claim the pushes that are due. Decide again about those that have waited, and about those of questions.

A claim is a lease: the pushes of a worker that was killed become due again when its claim expires. A request that was
in progress at that moment may have reached the push service, and is repeated: a push sent twice is better than a lost
one.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import (
    ColumnElement,
    Select,
    any_,
    bindparam,
    case,
    func,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.clock import utcnow
from app.enums import NotificationDecision, Platform
from app.models import Notification, PushToken, Task
from app.models.base import constant, literal_int
from app.services.notifications import presence
from app.services.notifications.badges import count_open
from app.services.notifications.delivery import PUSHES_PER_CLAIM
from app.services.notifications.messages import Delivery, Handling, Purpose, Subject
from app.services.notifications.rules.deciding import PUSH_LEASE, Verdict, decide
from app.services.notifications.rules.decision_transitions import Change, store
from app.services.notifications.rules.notices import Notice, old_notices
from app.services.retrying.attempts import by_halves
from app.services.retrying.policies import PUSH_SECONDS
from app.statements import Fields, Prepared

# An hour of failures takes fewer claims (`PUSH`, `PUSH_PROBES`). If its results are lost, a push is claimed again when
# its lease ends, and given up after two hours: each claim sends it once more.
MOST_CLAIMS = int(2 * PUSH_SECONDS / PUSH_LEASE.total_seconds())

# What is decided about claimed pushes: those to send now, and the changes to store for others.
Decided = tuple[list[Delivery], list[Change]]
Decide = Callable[[Sequence[Delivery]], Decided]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ClaimedPushes:
    """The pushes that a worker has claimed and is to send now.

    `is_full` is True if the claim had its maximum size, so that further pushes may be due.
    """

    deliveries: Sequence[Delivery]
    is_full: bool


async def is_due(session: AsyncSession) -> bool:
    """Return whether any push, reminder or retraction is due now."""
    return await _IS_DUE.first(session, {"now": utcnow()}) is not None


async def claim_due(session: AsyncSession) -> ClaimedPushes:
    """Claim up to `PUSHES_PER_CLAIM` due pushes, the oldest first; return those that are to be sent now.

    A claim lasts for `PUSH_LEASE`, and concurrent calls claim different pushes. If a claimed push must wait or is not
    needed any more, this function stores that decision and does not return the push. A push that was claimed more than
    `MOST_CLAIMS` times is given up.
    """
    now = utcnow()
    rows = await _CLAIM.all(session, {"now": now, "until": now + PUSH_LEASE})
    claimed = [delivery_of(row, now + PUSH_LEASE) for row in rows]
    deliveries = await give_up_lost(session, claimed, now, due_at=None, settled_at=now)
    # A push that has not waited and is about no question is sent as it was decided.
    asked = [each for each in deliveries if each.subject.question_id or _has_waited(each)]
    if asked:
        left_out = {each.id for each in asked} - {
            each.id for each in await _decide_again(session, asked, now)
        }
        deliveries = [each for each in deliveries if each.id not in left_out]
    await set_badges(session, deliveries)
    return ClaimedPushes(deliveries, len(rows) == PUSHES_PER_CLAIM)


def delivery_of(row: Fields, lease_until: datetime) -> Delivery:
    """Return the claimed push that a database row describes. The row has the columns of `claimed_columns`.

    `lease_until` is the UTC time at which the claim ends.
    """
    subject, handling = (
        Subject(*_SUBJECT_OF(row)),
        Handling(row["decision"], row["deferred_for"], lease_until),
    )
    # The row has one value for each field, in the same order.
    return Delivery(*_DELIVERY_OF(row), subject, handling)  # type: ignore[call-arg]


def _has_waited(delivery: Delivery) -> bool:
    return delivery.handling.decision == NotificationDecision.DEFERRED


async def set_badges(session: AsyncSession, deliveries: Sequence[Delivery]) -> None:
    """Set the app badge of each push that has a class to the number of open questions in its recipient's inbox.

    A push without a class (`subject.urgency` is None) gets no badge.
    """
    counts = await count_open(session, {each.user_id for each in deliveries if each.subject.urgency})
    for each in deliveries:
        if each.subject.urgency:
            each.handling.badge = counts.get(each.user_id, 0)


async def notices_of(session: AsyncSession, ids: Collection[UUID], now: datetime) -> dict[UUID, Notice]:
    """Return the push notices with these ids, by id, each with everything that decides at `now` whether it is sent.

    If reading presence fails, the notices are read as if no device showed their tasks, so that none is deferred.
    """
    read = partial(_notices, session, ids, now)
    return await presence.without_if_failing(session, read, notifications=len(ids))


async def _notices(
    session: AsyncSession, ids: Collection[UUID], now: datetime, *, with_presence: bool
) -> dict[UUID, Notice]:
    notices = await old_notices(session, ids, now, with_presence=with_presence)
    if with_presence:
        watching = await presence.watching(
            session,
            task_ids={notice.row["task_id"] for notice in notices},
            user_ids={notice.row["user_id"] for notice in notices},
            now=now,
        )
        notices = [notice.with_watching(watching) for notice in notices]
    return {notice.row["key"]: notice for notice in notices}


async def store_decisions(
    session: AsyncSession, claimed: Sequence[Delivery], decide_all: Decide, now: datetime
) -> list[Delivery]:
    """Decide about claimed pushes by `decide_all`, store the changes, and return the pushes to send now.

    A push that cannot be decided is logged and not returned; it becomes due again when its claim ends. The others are
    decided.
    """
    to_send: list[Delivery] = []

    async def step(some: Sequence[Delivery]) -> None:
        kept, changes = decide_all(some)
        if changes:
            async with session.begin_nested():
                await store(session, changes, now)
        to_send.extend(kept)

    await by_halves(claimed, step, event="push.not_decided", name=log_fields)
    return to_send


def log_fields(delivery: Delivery) -> dict[str, object]:
    """Return the fields that name a push in the log."""
    return {"notification_id": str(delivery.id)}


async def give_up_lost(
    session: AsyncSession, claimed: Sequence[Delivery], now: datetime, **end: datetime | None
) -> list[Delivery]:
    """End claimed pushes that were claimed more than `MOST_CLAIMS` times, and return the others.

    `end` has the column that makes such a push due, and others that are set at its end.
    """
    lost = [each for each in claimed if each.attempts > MOST_CLAIMS]
    for each in lost:
        log.error("push.results_lost", **log_fields(each))

    def give_up(some: Sequence[Delivery]) -> Decided:
        decision, reason = NotificationDecision.GIVEN_UP, "results_lost"
        return [], [Change(id=each.id, decision=decision, reason=reason, values=end) for each in some]

    await store_decisions(session, lost, give_up, now)
    return [each for each in claimed if each.attempts <= MOST_CLAIMS]


async def _decide_again(session: AsyncSession, asked: Sequence[Delivery], now: datetime) -> list[Delivery]:
    """Decide again about claimed pushes; return the pushes to send now."""
    notices = await notices_of(session, [each.id for each in asked], now)

    def decide_all(some: Sequence[Delivery]) -> Decided:
        kept, changes = [], []
        for each in some:
            each.handling.notice = notice = notices[each.id]
            verdict = decide(notice.context, now)
            if verdict.decision is NotificationDecision.PENDING:
                kept.append(each)
                if verdict.is_reminder:
                    each.handling.purpose, each.handling.reason = Purpose.REMINDER, "still_open"
                if _has_waited(each):
                    each.handling.deferred_for = waited = (now - each.created_at).total_seconds()
                    changes.append(release(each.id, waited, due_at=each.handling.lease_until))
            else:
                changes.append(uncount_attempt(each, hold_or_drop(notice, verdict, now)))
        return kept, changes

    known = [each for each in asked if each.id in notices]
    return await store_decisions(session, known, decide_all, now)


def uncount_attempt(delivery: Delivery, change: Change) -> Change:
    """Return a copy of `change` that also lowers the push's number of attempts by one.

    A claim counts an attempt in advance. This takes it back for a claimed push that was not sent.
    """
    return replace(change, values={**change.values, "attempts": delivery.attempts - 1})


def release(notification_id: UUID, deferred_for: float, *, due_at: datetime | None) -> Change:
    """Return the change that makes a deferred push notice pending again; workers can claim it from `due_at` on.

    If `due_at` is None, no worker claims it. `deferred_for` is the number of seconds for which the notice has waited.
    """
    return Change(
        id=notification_id,
        decision=NotificationDecision.PENDING,
        is_shown=False,
        values={"due_at": due_at, "deferred_for": deferred_for},
    )


def hold_or_drop(notice: Notice, verdict: Verdict, now: datetime) -> Change:
    """Return the change that stores a verdict not to send a push notice now.

    The notice waits until `verdict.due_at`. If that is None, the notice is dropped permanently.
    """
    values: dict[str, Any] = {"due_at": verdict.due_at, "settled_at": None if verdict.due_at else now}
    if verdict.reason == "presence" and notice.context.watching:
        watching = notice.context.watching
        values |= {"watching_device_id": watching.device_id, "watching_beat_at": watching.beat_at}
    return Change(id=notice.row["key"], decision=verdict.decision, reason=verdict.reason, values=values)


# The columns of a claim in the order of the fields.
_DELIVERY_OF = itemgetter(
    *(each.name for each in fields(Delivery) if each.name not in {"subject", "handling"})
)
_SUBJECT_OF = itemgetter(*(each.name for each in fields(Subject)))
_OTHER = aliased(Notification)


def claimed_columns() -> list[Any]:  # columns and expressions
    """Return the SQL columns that a claim of pushes selects, one for each field of `Delivery` and `Subject`."""
    asked = (
        select(_OTHER.question_id)
        .where(
            _OTHER.run_id == Notification.run_id,
            _OTHER.device_id == Notification.device_id,
            _OTHER.question_id.is_not(None),
            _OTHER.sent_at.is_not(None),
            _OTHER.decision != NotificationDecision.RETRACTED.value,
            Notification.question_id.is_(None),
        )
        .order_by(_OTHER.created_at.desc())
        .limit(literal_int(1))
    )
    is_own = (PushToken.id == Notification.device_id) & (PushToken.user_id == Notification.user_id)
    return [
        Notification.id,
        Notification.attempts,
        Notification.user_id,
        Notification.device_id,
        Notification.platform,
        Notification.body,
        Notification.task_id,
        Notification.run_id,
        Notification.created_at,
        Notification.kind,
        _only_for(Platform.WEB, select(Task.project_id).where(Task.id == Notification.task_id)).label(
            "project_id"
        ),
        Notification.decision,
        Notification.urgency,
        Notification.question_id,
        Notification.event_seq,
        Notification.title,
        Notification.deferred_for,
        select(PushToken.token).where(is_own).scalar_subquery().label("token"),
        _only_for(Platform.ANDROID, select(PushToken.channels).where(is_own)).label("channels"),
        asked.correlate(Notification).scalar_subquery().label("replaces"),
    ]


def _only_for(platform: Platform, found: Select[Any]) -> ColumnElement[Any]:
    """Return an SQL expression: the value of `found` for devices of this platform, NULL for others."""
    is_wanted = Notification.platform == constant(platform)
    return case((is_wanted, found.scalar_subquery()))


_IS_TO_SEND = (
    Notification.due_at <= bindparam("now"),
    # Not those that quiet hours hold: digests.py releases them.
    Notification.decision != constant(NotificationDecision.HELD_QUIET_HOURS),
)
_DUE = (
    select(Notification.id)
    .where(*_IS_TO_SEND)
    .order_by(Notification.due_at)
    .limit(literal_int(PUSHES_PER_CLAIM))
    .with_for_update(skip_locked=True)
    .cte("due")
)
_CLAIM = Prepared(
    update(Notification)
    # A list and no join, so that PostgreSQL finds the rows by their key even if the table is small or new.
    .where(Notification.id == any_(func.array(select(_DUE.c.id).scalar_subquery())))
    .values(due_at=bindparam("until"), attempts=Notification.attempts + 1)
    .returning(*claimed_columns())
)
_IS_DUE = Prepared(
    select(Notification.id)
    .where(*_IS_TO_SEND)
    .union_all(
        select(Notification.id).where(
            Notification.follow_up_at <= bindparam("now"), Notification.sent_at.is_not(None)
        )
    )
    .limit(literal_int(1))
)
