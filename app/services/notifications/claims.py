"""Claim the pushes that are due. Decide again about those that have waited, and about those of questions.

A request in progress when its worker is killed is repeated: a push sent twice is better than a lost one.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import BigInteger, ColumnElement, Select, and_, bindparam, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.clock import utcnow
from app.enums import NotificationDecision, Platform, PushPurpose, QuestionKind
from app.models import Membership, Notification, PushToken, Question, QuestionCount, Task, TaskFollow
from app.models.base import constant, given_rows, literal_int
from app.services import leases
from app.services.access.visibility import is_for_user
from app.services.notifications import presence, replacements
from app.services.notifications.delivery import PUSHES_PER_CLAIM
from app.services.notifications.messages import Claim, Delivery, Stored, Subject
from app.services.notifications.rules.deciding import (
    PUSH_LEASE,
    ReplacedNotice,
    RunEndNotice,
    Verdict,
    decide,
    decide_reminder,
    decide_retraction,
)
from app.services.notifications.rules.decision_transitions import Change, store
from app.services.notifications.rules.notices import Notice, old_notices
from app.services.retrying.attempts import by_halves
from app.services.retrying.policies import PUSH_SECONDS
from app.statements import Prepared

# An hour of failures takes fewer claims (`PUSH`, `PUSH_PROBES`). If its results are lost, a push is claimed again when
# its lease ends, and given up after two hours: each claim sends it once more.
MOST_CLAIMS = int(2 * PUSH_SECONDS / PUSH_LEASE.total_seconds())

# What is decided about claimed pushes: those to send now, and the changes to store for others.
Decided = tuple[list[Delivery], list[Change]]
Decide = Callable[[Sequence[Delivery]], Decided]

log = structlog.get_logger(__name__)


class ClaimedRow(NamedTuple):
    """The row of a claimed push."""

    id: UUID
    attempts: int
    user_id: int
    device_id: UUID
    platform: Platform
    body: str
    token: str | None
    subject: Subject
    stored: Stored


class ClaimedPushes(NamedTuple):
    """The pushes that a worker has claimed and is to send now, and whether further pushes may be due."""

    deliveries: Sequence[Delivery]
    is_full: bool


async def is_due(session: AsyncSession) -> bool:
    """Return whether any push is due now."""
    return await _IS_DUE.first(session, {"now": utcnow()}) is not None


async def claim_due(session: AsyncSession) -> ClaimedPushes:
    """Claim up to `PUSHES_PER_CLAIM` due pushes, the oldest first; return those that are to be sent now.

    A claim lasts for `PUSH_LEASE`, and concurrent calls claim different pushes. A push that must wait or is not needed
    any more is stored so. One that was claimed more than `MOST_CLAIMS` times is given up.
    """
    now = utcnow()
    rows = await _CLAIM.all(session, {"now": now, "until": now + PUSH_LEASE})
    deliveries = await give_up_lost(session, as_deliveries(rows, now), now)
    # A push that has not waited and is about no question is sent as it was decided.
    asked = [each for each in deliveries if each.subject.question_id or _has_waited(each)]
    if asked:
        left_out = {each.id for each in asked} - {
            each.id for each in await _decide_again(session, asked, now)
        }
        deliveries = [each for each in deliveries if each.id not in left_out]
    await _set_badges(session, deliveries)
    return ClaimedPushes(deliveries, len(rows) == PUSHES_PER_CLAIM)


def as_deliveries(rows: Sequence[ClaimedRow], now: datetime) -> list[Delivery]:
    """Return the pushes that were claimed at `now`."""
    return [Delivery(*row, Claim(now + PUSH_LEASE)) for row in rows]


def _has_waited(delivery: Delivery) -> bool:
    return delivery.stored.decision == NotificationDecision.DEFERRED


def _is_lost_notice(delivery: Delivery) -> bool:
    # Its worker died, before or after it sent the notice.
    is_pending = delivery.stored.decision == NotificationDecision.PENDING
    return is_pending and delivery.attempts > 1 and delivery.stored.replaces is None


async def _set_badges(session: AsyncSession, deliveries: Sequence[Delivery]) -> None:
    counts = await count_open(session, {each.user_id for each in deliveries if each.subject.urgency})
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


async def store_decisions(
    session: AsyncSession, claimed: Sequence[Delivery], decide_all: Decide, now: datetime
) -> list[Delivery]:
    """Decide about claimed pushes by `decide_all`, store the changes, and return those to send now.

    One that cannot be decided is logged, and is due again when its claim ends.
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


async def give_up_lost(session: AsyncSession, claimed: Sequence[Delivery], now: datetime) -> list[Delivery]:
    """End claimed pushes that were claimed more than `MOST_CLAIMS` times, and return the others."""
    lost = [each for each in claimed if each.attempts > MOST_CLAIMS]
    for each in lost:
        log.error("push.results_lost", **log_fields(each))

    def give_up(some: Sequence[Delivery]) -> Decided:
        verdict = Verdict(NotificationDecision.GIVEN_UP, "results_lost")
        return [], [_end(each.id, verdict, now) for each in some]

    await store_decisions(session, lost, give_up, now)
    return [each for each in claimed if each.attempts <= MOST_CLAIMS]


async def _decide_again(session: AsyncSession, asked: Sequence[Delivery], now: datetime) -> list[Delivery]:
    """Decide again about claimed pushes; return the pushes to send now."""
    notices = await notices_of(session, [each.id for each in asked], now)
    replacing = [each for each in asked if each.stored.replaces is not None]
    replaced: dict[UUID, ReplacedNotice] = {}
    ends: dict[tuple[UUID, UUID], RunEndNotice] = {}
    if replacing:
        replaced = await replacements.read_replaced(
            session, [each.stored.replaces for each in replacing if each.stored.replaces]
        )
        ends = await replacements.read_ends(session, {each.subject.run_id for each in replacing})

    def verdict_of(each: Delivery, notice: Notice) -> Verdict:
        if each.stored.replaces is None:
            return decide(notice.context, now)
        shown = replaced.get(each.stored.replaces, ReplacedNotice(is_shown=False, due_at=None))
        if not each.is_retraction:
            return decide_reminder(notice.context, shown, now)
        end = ends.get((notice.row.run_id, each.device_id))
        assert notice.context.question is not None
        return decide_retraction(notice.context.question, shown, end, now)

    def decide_all(some: Sequence[Delivery]) -> Decided:
        kept, changes = [], []
        for each in some:
            each.claim.notice = notice = notices[each.id]
            verdict = verdict_of(each, notice)
            if _is_lost_notice(each):
                # The device may show it.
                changes.append(Change(id=each.id, decision=None, values={"sent_at": now}))
            if verdict.decision is NotificationDecision.PENDING:
                kept.append(each)
                each.claim.is_quiet = verdict.is_quiet
                if _has_waited(each):
                    waited = (now - each.stored.created_at).total_seconds()
                    each.stored = each.stored._replace(deferred_for=waited)
                    changes.append(release(each, waited, due_at=each.claim.until))
            else:
                changes += changes_of(each, notice, verdict, now)
        return kept, changes

    known = [each for each in asked if each.id in notices]
    return await store_decisions(session, known, decide_all, now)


def release(delivery: Delivery, deferred_for: float, *, due_at: datetime | None) -> Change:
    """Return the change that makes a deferred push pending again; it can be claimed from `due_at` on."""
    return Change(
        id=delivery.id,
        decision=NotificationDecision.PENDING,
        is_shown=False,
        values={"due_at": due_at, "deferred_for": deferred_for},
    )


def changes_of(delivery: Delivery, notice: Notice, verdict: Verdict, now: datetime) -> list[Change]:
    """Return the changes that store a verdict not to send a claimed push now. Its claim does not count."""
    uncounted: dict[str, Any] = {"attempts": delivery.attempts - 1}
    if delivery.stored.replaces is None:
        watching = notice.context.watching if verdict.reason == "presence" else None
        if watching is not None:
            uncounted |= {"watching_device_id": watching.device_id, "watching_beat_at": watching.beat_at}
        return [_end(delivery.id, verdict, now, uncounted)]
    if verdict.due_at is not None:
        # It is not deferred: presence releases what is.
        waits = (verdict.due_at - delivery.stored.created_at).total_seconds()
        values = {"due_at": verdict.due_at, "deferred_for": waits, **uncounted}
        return [Change(id=delivery.id, decision=None, values=values)]
    changes = [_end(delivery.id, verdict, now, uncounted)]
    if verdict.decision is NotificationDecision.RETRACTED:
        changes.append(Change(id=delivery.stored.replaces, decision=verdict.decision, reason=verdict.reason))
    return changes


def _end(id_: UUID, verdict: Verdict, now: datetime, values: dict[str, Any] | None = None) -> Change:
    times = {"due_at": verdict.due_at, "settled_at": None if verdict.due_at else now}
    return Change(
        id=id_, decision=verdict.decision, reason=verdict.reason, values={**times, **(values or {})}
    )


_OTHER = aliased(Notification)


def claimed_columns() -> list[Any]:  # columns and expressions
    """Return the SQL columns of `ClaimedRow`."""
    asked = (
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
        asked.correlate(Notification).scalar_subquery().label("earlier_question"),
        Notification.title,
        _only_for(Platform.ANDROID, select(PushToken.channels).where(is_own)).label("channels"),
        Notification.created_at,
        Notification.decision,
        Notification.purpose,
        Notification.replaces,
        Notification.deferred_for,
    ]


def _only_for(platform: Platform, found: Select[Any]) -> ColumnElement[Any]:
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
)
_CLAIM = Prepared(
    leases.claim(Notification, _DUE, due_at=bindparam("until")).returning(*claimed_columns()), ClaimedRow
)
_IS_DUE = Prepared(
    select(Notification.id).where(*_IS_TO_SEND).order_by(Notification.due_at).limit(literal_int(1))
)


_MESSAGE: ColumnElement[str] = constant(QuestionKind.MESSAGE)
_IS_COUNTED = and_(Question.is_open(), Question.kind != _MESSAGE)


async def count_open(session: AsyncSession, user_ids: Collection[int]) -> Mapping[int, int]:
    """Return the number of open questions in each user's inbox, without turns that wait for a message."""
    if not user_ids:
        return {}
    rows = await _COUNT.all(session, {"given_user_id": list(user_ids)})
    return {user_id: int(count) for user_id, count in rows}


def _count_statement() -> Select[Any]:
    person = given_rows({"user_id": BigInteger()})

    def is_member(of: Any) -> ColumnElement[bool]:
        return and_(Membership.user_id == person.c.user_id, Membership.project_id == of.project_id)

    # Triggers keep the sums, so this reads a few rows for any number of questions.
    own = (
        select(func.coalesce(func.sum(QuestionCount.questions), literal_int(0)))
        .join(Membership, is_member(QuestionCount))
        .where(QuestionCount.user_id == person.c.user_id, QuestionCount.kind != _MESSAGE)
    )
    followed = (
        select(func.count())
        .select_from(TaskFollow)
        .join(Question, Question.task_id == TaskFollow.task_id)
        .join(Membership, is_member(Question))
        .join(Task, Task.id == Question.task_id)
        .where(
            TaskFollow.user_id == person.c.user_id,
            Question.task_creator_id.is_distinct_from(person.c.user_id),
            _IS_COUNTED,
            ~Task.deleted,
            is_for_user(person.c.user_id),
        )
    )
    counts = [each.correlate(person).scalar_subquery() for each in (own, followed)]
    return select(person.c.user_id, (counts[0] + counts[1]).label("open"))


_COUNT = Prepared(_count_statement())
