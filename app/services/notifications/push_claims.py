"""Claim the pushes that are due. Decide again about those that have waited, and about those of questions.

A request in progress when its worker is killed is repeated: a push sent twice is better than a lost one.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
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
from app.services.notifications import badges, reminders
from app.services.notifications.notice_reading import Notice, read_stored
from app.services.notifications.push_delivery import PUSHES_PER_CLAIM
from app.services.notifications.push_messages import ClaimedPush, Delivery
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

# What a reminder or retraction replaces if the row of its notice was deleted.
_GONE = ReplacedNotice(is_shown=False, due_at=None)

log = structlog.get_logger(__name__)


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
    deliveries = [Delivery(push, now + PUSH_LEASE) for push in await give_up_lost(session, rows, now)]
    # A push is decided again if it was deferred or is about a question; any other is sent as it was decided.
    undecided = {each.push.id: each for each in deliveries if each.push.question_id or _has_waited(each.push)}
    if undecided:
        left_out = undecided.keys() - await _decide_again(session, undecided, now)
        deliveries = [each for each in deliveries if each.push.id not in left_out]
    await _set_badges(session, deliveries)
    return ClaimedPushes(deliveries, len(rows) == PUSHES_PER_CLAIM)


def _has_waited(push: ClaimedPush) -> bool:
    return push.decision == NotificationDecision.DEFERRED


def _sent_at_if_lost(push: ClaimedPush, now: datetime) -> dict[str, object]:
    # The device may show the notice although no result was stored, for example because the worker died.
    is_lost = push.decision == NotificationDecision.PENDING and push.attempts > 1
    is_lost |= push.decision == NotificationDecision.RETRYING and push.attempts > PUSH_CLAIMS
    return {"sent_at": now} if is_lost and push.replaces is None else {}


async def _set_badges(session: AsyncSession, deliveries: Sequence[Delivery]) -> None:
    with_badge = [each for each in deliveries if each.push.urgency]
    counts = await badges.count_open(session, {each.push.user_id for each in with_badge})
    for each in with_badge:
        each.badge = counts.get(each.push.user_id, 0)


async def store_each(
    session: AsyncSession,
    claimed: Sequence[ClaimedPush],
    change: Callable[[ClaimedPush], list[Change]],
    now: datetime,
) -> list[ClaimedPush]:
    """Store the changes of each push; return those that are stored. Others are logged, and due with their claim."""
    stored: list[ClaimedPush] = []

    async def step(part: Sequence[ClaimedPush]) -> None:
        if changes := [each for push in part for each in change(push)]:
            async with session.begin_nested():
                await store(session, changes, now)
        stored.extend(part)

    await by_halves(claimed, step, event="push.not_decided", name=log_fields)
    return stored


def log_fields(push: ClaimedPush) -> dict[str, object]:
    return {"notification_id": str(push.id)}


async def give_up_lost(
    session: AsyncSession, claimed: Sequence[ClaimedPush], now: datetime
) -> list[ClaimedPush]:
    """End claimed pushes that were claimed more than `PUSH_CLAIMS` times, and return the others."""
    lost = [push for push in claimed if push.attempts > PUSH_CLAIMS]
    for push in lost:
        after_commit(session, partial(log.error, "push.results_lost", **log_fields(push)))
    decided = NoticeDecision(NotificationDecision.GIVEN_UP, "results_lost")
    await store_each(
        session, lost, lambda push: [_end(push.id, decided, now, _sent_at_if_lost(push, now))], now
    )
    return [push for push in claimed if push.attempts <= PUSH_CLAIMS]


async def _decide_again(
    session: AsyncSession, deliveries: Mapping[UUID, Delivery], now: datetime
) -> Collection[UUID]:
    notices = await read_stored(session, deliveries, now)
    pushes = [each.push for each in deliveries.values() if each.push.id in notices]
    replacing = [push for push in pushes if push.replaces is not None]
    shown, ends = {}, {}
    if replacing:
        shown = await reminders.read_replaced(session, [push.replaces for push in replacing])
        ends = await reminders.read_ends(session, [push.run_id for push in replacing])

    def decided_of(push: ClaimedPush, context: NoticeContext) -> NoticeDecision:
        if push.replaces is None:
            return decide(context, now)
        replaced = shown.get(push.replaces, _GONE)
        if not push.is_retraction:
            return decide_reminder(context, replaced, now)
        assert context.question is not None
        return decide_retraction(context.question, replaced, ends.get((push.run_id, push.device_id)), now)

    to_send: set[UUID] = set()

    def change(push: ClaimedPush) -> list[Change]:
        delivery = deliveries[push.id]
        delivery.notice = notice = notices[push.id]
        decided = decided_of(push, notice.context)
        sent_at = _sent_at_if_lost(push, now)
        changes = [Change(id=push.id, values=sent_at)] if sent_at else []
        if decided.decision is not NotificationDecision.PENDING:
            return changes + changes_of(push, notice, decided, now)
        to_send.add(push.id)
        delivery.is_quiet = decided.is_quiet
        if _has_waited(push):
            waited = (now - push.created_at).total_seconds()
            delivery.push = push._replace(deferred_for=waited)
            changes.append(release(push, waited, due_at=delivery.until))
        return changes

    return to_send & {push.id for push in await store_each(session, pushes, change, now)}


def release(push: ClaimedPush, deferred_for: float, **values: object) -> Change:
    """Return the change that makes a deferred push pending again, with other new `values` of its columns."""
    values["deferred_for"] = deferred_for
    return Change(id=push.id, decision=NotificationDecision.PENDING, is_shown=False, values=values)


def changes_of(push: ClaimedPush, notice: Notice, decided: NoticeDecision, now: datetime) -> list[Change]:
    """Return the changes that store a decision not to send a claimed push now. Its claim counts as no attempt."""
    uncounted: dict[str, object] = {"attempts": push.attempts - 1}
    if push.replaces is None:
        watching = notice.context.watching if decided.reason == "presence" else None
        # Of equal decisions in a row, the history keeps the first: so the row keeps the device of the first.
        if watching is not None and push.reason != decided.reason:
            uncounted |= {"watching_device_id": watching.device_id, "watching_beat_at": watching.beat_at}
        return [_end(push.id, decided, now, uncounted)]
    if decided.due_at is not None:
        # Not stored as deferred: the end of a presence releases what is deferred.
        waits = (decided.due_at - push.created_at).total_seconds()
        values = {"due_at": decided.due_at, "deferred_for": waits, **uncounted}
        return [Change(id=push.id, values=values)]
    changes = [_end(push.id, decided, now, uncounted)]
    if decided.decision is NotificationDecision.RETRACTED:
        changes.append(Change(id=push.replaces, decision=decided.decision, reason=decided.reason))
    return changes


def _end(id_: UUID, decided: NoticeDecision, now: datetime, values: dict[str, object]) -> Change:
    times = {"due_at": decided.due_at, "settled_at": None if decided.due_at else now}
    return Change(id=id_, decision=decided.decision, reason=decided.reason, values={**times, **values})


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
    # The columns of other tables.
    found: dict[str, ColumnElement[Any]] = {
        "token": select(PushToken.token).where(is_own).scalar_subquery(),
        "project_id": _only_for(Platform.WEB, project_id),
        "earlier_question": earlier_question.correlate(Notification).scalar_subquery(),
        "channels": _only_for(Platform.ANDROID, select(PushToken.channels).where(is_own)),
        "traceparent": select(Run.traceparent).where(Run.id == Notification.run_id).scalar_subquery(),
    }
    return [
        found[name].label(name) if name in found else getattr(Notification, name)
        for name in ClaimedPush._fields
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
    due_rows.claim(Notification, _DUE, due_at=bindparam("until")).returning(*claimed_columns()), ClaimedPush
)
_IS_DUE = Prepared(
    select(Notification.id).where(*_IS_TO_SEND).order_by(Notification.due_at).limit(literal_int(1))
)
