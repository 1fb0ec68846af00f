"""Claim the pushes that are due. Decide again about those that have waited, and about those of questions.

A request in progress when its worker is killed is repeated: a push sent twice is better than a lost one.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Select, bindparam, case, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.clock import utcnow
from app.db import after_commit
from app.db.statements import Prepared
from app.enums import NotificationDecision, Platform, PushPurpose
from app.models import Notification, PushToken, Run, Task
from app.models.base import constant, literal_int
from app.services.notifications import badges, presence, reminders
from app.services.notifications.notice_reading import Notice, old_notices
from app.services.notifications.push_delivery import PUSHES_PER_CLAIM
from app.services.notifications.push_messages import Delivery, PushClaim, StoredPush, Subject
from app.services.notifications.rules.decision_transitions import Change, store
from app.services.notifications.rules.push_decision import (
    NoticeContext,
    NoticeDecision,
    ReplacedNotice,
    decide,
    decide_reminder,
    decide_retraction,
)
from app.services.retrying import due_rows
from app.services.retrying.policies import PUSH_CLAIMS, PUSH_LEASE
from app.services.retrying.retries import by_halves

# A notice whose row is gone.
_GONE = ReplacedNotice(is_shown=False, due_at=None)

log = structlog.get_logger(__name__)


class ClaimedRow(NamedTuple):
    id: UUID
    attempts: int
    user_id: int
    device_id: UUID
    platform: Platform
    body: str
    token: str | None
    subject: Subject
    stored: StoredPush


class ClaimedPushes(NamedTuple):
    """The pushes that a worker has claimed and is to send now, and whether further pushes may be due."""

    deliveries: Sequence[Delivery]
    is_full: bool


async def is_due(session: AsyncSession) -> bool:
    return await _IS_DUE.first(session, {"now": utcnow()}) is not None


async def claim_due(session: AsyncSession) -> ClaimedPushes:
    """Claim up to `PUSHES_PER_CLAIM` due pushes, the oldest first; return those that are to be sent now.

    A claim lasts for `PUSH_LEASE`, and concurrent calls claim different pushes. A push that must wait or is not needed
    any more is stored so. One that was claimed more than `PUSH_CLAIMS` times is given up.
    """
    now = utcnow()
    rows = await _CLAIM.all(session, {"now": now, "until": now + PUSH_LEASE})
    deliveries = await give_up_lost(session, as_deliveries(rows, now), now)
    # A push that has not waited and is about no question is sent as it was decided.
    undecided = [each for each in deliveries if each.subject.question_id or _has_waited(each)]
    if undecided:
        left_out = {each.id for each in undecided} - {
            each.id for each in await _decide_again(session, undecided, now)
        }
        deliveries = [each for each in deliveries if each.id not in left_out]
    await _set_badges(session, deliveries)
    return ClaimedPushes(deliveries, len(rows) == PUSHES_PER_CLAIM)


def as_deliveries(rows: Sequence[ClaimedRow], now: datetime) -> list[Delivery]:
    return [Delivery(**row._asdict(), claim=PushClaim(now + PUSH_LEASE)) for row in rows]


def _has_waited(delivery: Delivery) -> bool:
    return delivery.stored.decision == NotificationDecision.DEFERRED


def _sent_at_if_lost(delivery: Delivery, now: datetime) -> dict[str, object]:
    # The device may show the notice although no result was stored, for example because the worker died.
    decision, attempts = delivery.stored.decision, delivery.attempts
    is_lost = decision == NotificationDecision.PENDING and attempts > 1
    is_lost |= decision == NotificationDecision.RETRYING and attempts > PUSH_CLAIMS
    return {"sent_at": now} if is_lost and delivery.stored.replaces is None else {}


async def _set_badges(session: AsyncSession, deliveries: Sequence[Delivery]) -> None:
    counts = await badges.count_open(session, {each.user_id for each in deliveries if each.subject.urgency})
    for each in deliveries:
        if each.subject.urgency:
            each.claim.badge = counts.get(each.user_id, 0)


async def notices_of(session: AsyncSession, ids: Collection[UUID], now: datetime) -> dict[UUID, Notice]:
    """Return these pushes, by id, with what decides about them; without presence if that cannot be read."""
    read = partial(_notices, session, ids, now)
    return await presence.without_if_failing(session, read, notifications=len(ids))


async def _notices(
    session: AsyncSession, ids: Collection[UUID], now: datetime, *, with_presence: bool
) -> dict[UUID, Notice]:
    notices = await old_notices(session, ids, now, with_presence=with_presence)
    if with_presence:
        watching = await presence.watching(
            session,
            task_ids={notice.row.task_id for notice in notices},
            user_ids={notice.row.user_id for notice in notices},
            now=now,
        )
        notices = [notice.with_watching(watching) for notice in notices]
    return {notice.row.key: notice for notice in notices}


async def store_each(
    session: AsyncSession,
    claimed: Sequence[Delivery],
    change: Callable[[Delivery], list[Change]],
    now: datetime,
) -> list[Delivery]:
    """Store the changes of each push; return those that are stored. Others are logged, and due with their claim."""
    stored: list[Delivery] = []

    async def step(part: Sequence[Delivery]) -> None:
        if changes := [each for delivery in part for each in change(delivery)]:
            async with session.begin_nested():
                await store(session, changes, now)
        stored.extend(part)

    await by_halves(claimed, step, event="push.not_decided", name=log_fields)
    return stored


def log_fields(delivery: Delivery) -> dict[str, object]:
    return {"notification_id": str(delivery.id)}


async def give_up_lost(session: AsyncSession, claimed: Sequence[Delivery], now: datetime) -> list[Delivery]:
    """End claimed pushes that were claimed more than `PUSH_CLAIMS` times, and return the others."""
    lost = [each for each in claimed if each.attempts > PUSH_CLAIMS]
    for each in lost:
        after_commit(session, partial(log.error, "push.results_lost", **log_fields(each)))
    decided = NoticeDecision(NotificationDecision.GIVEN_UP, "results_lost")
    await store_each(
        session, lost, lambda each: [_end(each.id, decided, now, _sent_at_if_lost(each, now))], now
    )
    return [each for each in claimed if each.attempts <= PUSH_CLAIMS]


async def _decide_again(session: AsyncSession, pushes: Sequence[Delivery], now: datetime) -> list[Delivery]:
    notices = await notices_of(session, [each.id for each in pushes], now)
    with_notice = [each for each in pushes if each.id in notices]
    replacing = [each for each in with_notice if each.stored.replaces is not None]
    shown, ends = {}, {}
    if replacing:
        shown = await reminders.read_replaced(session, [each.stored.replaces for each in replacing])
        ends = await reminders.read_ends(session, [each.subject.run_id for each in replacing])

    def decided_of(each: Delivery, context: NoticeContext) -> NoticeDecision:
        if each.stored.replaces is None:
            return decide(context, now)
        replaced = shown.get(each.stored.replaces, _GONE)
        if not each.is_retraction:
            return decide_reminder(context, replaced, now)
        assert context.question is not None
        end = ends.get((each.subject.run_id, each.device_id))
        return decide_retraction(context.question, replaced, end, now)

    to_send: set[UUID] = set()

    def change(each: Delivery) -> list[Change]:
        each.claim.notice = notice = notices[each.id]
        decided = decided_of(each, notice.context)
        sent_at = _sent_at_if_lost(each, now)
        changes = [Change(id=each.id, values=sent_at)] if sent_at else []
        if decided.decision is not NotificationDecision.PENDING:
            return changes + changes_of(each, notice, decided, now)
        to_send.add(each.id)
        each.claim.is_quiet = decided.is_quiet
        if _has_waited(each):
            waited = (now - each.stored.created_at).total_seconds()
            each.stored = each.stored._replace(deferred_for=waited)
            changes.append(release(each, waited, due_at=each.claim.until))
        return changes

    return [each for each in await store_each(session, with_notice, change, now) if each.id in to_send]


def release(delivery: Delivery, deferred_for: float, **values: object) -> Change:
    """Return the change that makes a deferred push pending again, with other new `values` of its columns."""
    values["deferred_for"] = deferred_for
    return Change(id=delivery.id, decision=NotificationDecision.PENDING, is_shown=False, values=values)


def changes_of(delivery: Delivery, notice: Notice, decided: NoticeDecision, now: datetime) -> list[Change]:
    """Return the changes that store a decision not to send a claimed push now. Its claim does not count."""
    uncounted: dict[str, object] = {"attempts": delivery.attempts - 1}
    if delivery.stored.replaces is None:
        watching = notice.context.watching if decided.reason == "presence" else None
        # If the decision is the same again, the history keeps its first time, and the row its first device.
        if watching is not None and delivery.stored.reason != decided.reason:
            uncounted |= {"watching_device_id": watching.device_id, "watching_beat_at": watching.beat_at}
        return [_end(delivery.id, decided, now, uncounted)]
    if decided.due_at is not None:
        # Not deferred: presence would release it.
        waits = (decided.due_at - delivery.stored.created_at).total_seconds()
        values = {"due_at": decided.due_at, "deferred_for": waits, **uncounted}
        return [Change(id=delivery.id, values=values)]
    changes = [_end(delivery.id, decided, now, uncounted)]
    if decided.decision is NotificationDecision.RETRACTED:
        changes.append(Change(id=delivery.stored.replaces, decision=decided.decision, reason=decided.reason))
    return changes


def _end(
    id_: UUID, decided: NoticeDecision, now: datetime, values: dict[str, object] | None = None
) -> Change:
    times = {"due_at": decided.due_at, "settled_at": None if decided.due_at else now}
    return Change(
        id=id_, decision=decided.decision, reason=decided.reason, values={**times, **(values or {})}
    )


_OTHER = aliased(Notification)


def claimed_columns() -> list[Any]:  # columns and expressions
    earlier_question = (
        select(_OTHER.question_id)
        .where(
            _OTHER.run_id == Notification.run_id,
            _OTHER.device_id == Notification.device_id,
            _OTHER.question_id.is_not(None),
            _OTHER.purpose == constant(PushPurpose.NOTICE),
            _OTHER.sent_at.is_not(None),
            _OTHER.decision != NotificationDecision.RETRACTED.value,
            Notification.question_id.is_(None),
        )
        .order_by(_OTHER.created_at.desc())
        .limit(literal_int(1))
    )
    is_own = (PushToken.id == Notification.device_id) & (PushToken.user_id == Notification.user_id)
    project_id = select(Task.project_id).where(Task.id == Notification.task_id)
    return [
        Notification.id,
        Notification.attempts,
        Notification.user_id,
        Notification.device_id,
        Notification.platform,
        Notification.body,
        select(PushToken.token).where(is_own).scalar_subquery().label("token"),
        Notification.kind,
        _only_for(Platform.WEB, project_id).label("project_id"),
        Notification.task_id,
        Notification.run_id,
        Notification.question_id,
        Notification.event_seq,
        Notification.urgency,
        earlier_question.correlate(Notification).scalar_subquery().label("earlier_question"),
        Notification.title,
        _only_for(Platform.ANDROID, select(PushToken.channels).where(is_own)).label("channels"),
        select(Run.traceparent).where(Run.id == Notification.run_id).scalar_subquery().label("traceparent"),
        Notification.created_at,
        Notification.decision,
        Notification.purpose,
        Notification.replaces,
        Notification.deferred_for,
        Notification.reason,
    ]


def _only_for(platform: Platform, found: Select[Any]) -> ColumnElement[object]:
    is_wanted = Notification.platform == constant(platform)
    return case((is_wanted, found.scalar_subquery()))


_IS_TO_SEND = (
    Notification.due_at <= bindparam("now"),
    # Pushes that quiet hours hold are left out: digests.py releases them.
    Notification.decision != constant(NotificationDecision.HELD_QUIET_HOURS),
)
_DUE = (
    select(Notification.id)
    .where(*_IS_TO_SEND)
    .order_by(Notification.due_at)
    .limit(literal_int(PUSHES_PER_CLAIM))
    .with_for_update(skip_locked=True)
)
_CLAIM = Prepared(
    due_rows.claim(Notification, _DUE, due_at=bindparam("until")).returning(*claimed_columns()), ClaimedRow
)
_IS_DUE = Prepared(
    select(Notification.id).where(*_IS_TO_SEND).order_by(Notification.due_at).limit(literal_int(1))
)
