"""Read by one statement what rules/push_decision.py needs to decide about many notices."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfoNotFoundError

import structlog
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Interval,
    Select,
    and_,
    any_,
    bindparam,
    case,
    false,
    func,
    literal,
    literal_column,
    null,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.db.statements import Prepared
from app.enums import (
    NotificationDecision,
    NotificationKind,
    PushText,
    QuestionKind,
    QuestionRisk,
    QuestionStatus,
    Urgency,
    Verdict,
)
from app.json_types import JsonDict
from app.models import (
    Event,
    Membership,
    Notification,
    NotificationPreferences,
    Presence,
    Project,
    PushCooldown,
    Question,
    QuestionSnooze,
    Run,
    Task,
    TaskMute,
    User,
)
from app.models.events import CURRENT_TRANSACTION
from app.schemas.runs.verifications import VerificationOut
from app.services.notifications import presence
from app.services.notifications.rules.cooldowns import COOLDOWNS
from app.services.notifications.rules.push_decision import FromAgent, NoticeContext, Recipient
from app.services.notifications.rules.quiet_hours import QuietHours

_URGENCIES = {
    NotificationKind.COMPLETED: Urgency.LOW,
    NotificationKind.FAILED: Urgency.NORMAL,
    NotificationKind.CANCELLED: Urgency.LOW,
    NotificationKind.AWAITING: Urgency.NORMAL,
}
# The ends of runs that may have a verdict, and the verdicts that are worth a sound.
_VERIFIED = (NotificationKind.COMPLETED, NotificationKind.FAILED)
_UNPROVEN = (Verdict.REFUTED, Verdict.INCONCLUSIVE)
# An entry of the history of each notice that quiet hours have held.
_HELD = [{"decision": NotificationDecision.HELD_QUIET_HOURS.value}]

log = structlog.get_logger(__name__)


class NoticeQuestion(NamedTuple):
    status: QuestionStatus
    kind: QuestionKind
    title: str
    urgency: Urgency
    risk: QuestionRisk
    digest: bytes
    options: list[JsonDict]
    expires_at: datetime | None
    answered_by: str | None


class NoticeRow(NamedTuple):
    """A push notice, with what decides about it and what its text shows."""

    # The id of its row, or of the run of a new notice.
    key: UUID
    run_id: UUID
    task_id: UUID
    user_id: int
    kind: str
    question_id: UUID | None
    event_seq: int | None
    created_at: datetime
    was_quiet: bool
    urgency: str | None
    # What checks have found, for a new notice of the end of its run.
    verification: VerificationOut | None
    title: str
    deleted: bool
    is_active: bool
    is_member: bool
    is_muted: bool
    wants_kind: bool
    quiet_hours: JsonDict | None
    allow_during_quiet: list[str] | None
    push_text: str | None
    reminder_after_seconds: int | None
    project_push_text: str | None
    is_allowed: bool
    question: NoticeQuestion | None
    snoozed_until: datetime | None
    answered_at: datetime | None
    is_seen: bool
    cooldown_until: datetime | None


class Notice(NamedTuple):
    """A push notice, new or stored, with everything that decides whether it is sent.

    `row` has what was read from the database about the notice, and `context` is the input of its decision, made from
    `row`. `urgency` is its class, or None if it is neither loud nor quiet. `push_text` is the level of detail that its
    text may have.
    """

    row: NoticeRow
    context: NoticeContext
    urgency: Urgency | None
    push_text: PushText


async def new_notices(
    session: AsyncSession,
    kind: NotificationKind,
    run_ids: Collection[UUID],
    now: datetime,
    *,
    question_id: UUID | None = None,
    urgency: Urgency | None = None,
) -> list[Notice]:
    """Return a new notice of an event for each run, to the creator of its task, without presence."""
    values = {"kind": kind, "run_ids": list(run_ids), "now": now}
    values |= {"question_id": question_id, "urgency": urgency}
    return [_notice(row, now) for row in await _NEW.all(session, values)]


async def read_stored(session: AsyncSession, ids: Collection[UUID], now: datetime) -> dict[UUID, Notice]:
    """Return the stored pushes with these ids, by id; without presence if that cannot be read.

    A push that cannot be read, such as one of a newer release, is logged and left out.
    """
    read = partial(_read_stored, session, ids, now)
    return await presence.without_if_failing(session, read, notifications=len(ids))


async def _read_stored(
    session: AsyncSession, ids: Collection[UUID], now: datetime, *, with_presence: bool
) -> dict[UUID, Notice]:
    rows = await (_OLD if with_presence else _OLD_WITHOUT_PRESENCE).all(session, {"ids": list(ids)})
    notices = []
    for row in rows:
        try:
            notices.append(_notice(row, now))
        except Exception:
            # Not raised: the other pushes are still decided.
            log.exception("push.not_decided", notification_id=str(row.key))
    if with_presence:
        notices = await add_watching(session, notices, now)
    return {notice.row.key: notice for notice in notices}


async def add_watching(session: AsyncSession, notices: Sequence[Notice], now: datetime) -> list[Notice]:
    """Return the notices with the devices that show their tasks to their recipients now."""
    watching = await presence.watching(
        session,
        task_ids={notice.row.task_id for notice in notices},
        user_ids={notice.row.user_id for notice in notices},
        now=now,
    )
    return [
        notice._replace(
            context=replace(notice.context, watching=watching.get((notice.row.task_id, notice.row.user_id)))
        )
        for notice in notices
    ]


def _new_subjects() -> FromClause:
    kind = bindparam("kind", type_=Notification.kind.type)
    number = (
        select(func.max(Event.seq))
        .where(Event.transaction_id == literal_column(CURRENT_TRANSACTION), Event.run_id == Run.id)
        .correlate(Run)
        .scalar_subquery()
    )
    return (
        select(
            Run.id.label("key"),
            Run.id.label("run_id"),
            Task.id.label("task_id"),
            Task.created_by_id.label("user_id"),
            kind.label("kind"),
            bindparam("question_id", type_=Notification.question_id.type).label("question_id"),
            number.label("event_seq"),
            bindparam("now", type_=Notification.created_at.type).label("created_at"),
            false().label("was_quiet"),
            bindparam("urgency", type_=Notification.urgency.type).label("urgency"),
            case(*((kind == end.value, Run.verification) for end in _VERIFIED)).label("verification"),
        )
        .join(Task, Task.id == Run.task_id)
        .where(Run.id == any_(bindparam("run_ids", type_=ARRAY(Run.id.type))))
        .subquery("subject")
    )


def _old_subjects() -> FromClause:
    return (
        select(
            Notification.id.label("key"),
            Notification.run_id,
            Notification.task_id,
            Notification.user_id,
            Notification.kind,
            Notification.question_id,
            Notification.event_seq,
            Notification.created_at,
            Notification.history.contains(_HELD).label("was_quiet"),
            Notification.urgency,
            null().label("verification"),
        )
        .where(Notification.id == any_(bindparam("ids", type_=ARRAY(Notification.id.type))))
        .subquery("subject")
    )


def _is_seen(subject: FromClause) -> ColumnElement[bool]:
    shown = select(Presence.task_id).where(
        Presence.task_id == subject.c.task_id,
        Presence.user_id == subject.c.user_id,
        Presence.seen_seq >= subject.c.event_seq,
    )
    return shown.correlate(subject).exists()


def _notices(subject: FromClause, *, is_seen: ColumnElement[bool]) -> Select[Any]:
    row = subject.c
    wants = case(
        *((row.kind == kind.value, getattr(NotificationPreferences, kind.value)) for kind in COOLDOWNS),
        else_=true(),
    )
    return (
        select(
            *row,
            Task.title,
            Task.deleted,
            User.is_active,
            Membership.user_id.is_not(None).label("is_member"),
            TaskMute.user_id.is_not(None).label("is_muted"),
            func.coalesce(wants, true()).label("wants_kind"),
            NotificationPreferences.quiet_hours,
            NotificationPreferences.allow_during_quiet,
            NotificationPreferences.push_text,
            NotificationPreferences.reminder_after_seconds,
            Project.push_text.label("project_push_text"),
            Project.notify_user.label("is_allowed"),
            *_question_columns(),
            QuestionSnooze.until.label("snoozed_until"),
            _answered_at(subject).label("answered_at"),
            is_seen.label("is_seen"),
            _cooldown(subject).label("cooldown_until"),
        )
        .join(Task, Task.id == row.task_id)
        .join(User, User.id == row.user_id)
        .join(Project, Project.id == Task.project_id)
        .join(Run, Run.id == row.run_id)
        .outerjoin(
            Membership, and_(Membership.user_id == row.user_id, Membership.project_id == Task.project_id)
        )
        .outerjoin(TaskMute, and_(TaskMute.user_id == row.user_id, TaskMute.task_id == row.task_id))
        .outerjoin(NotificationPreferences, NotificationPreferences.user_id == row.user_id)
        .outerjoin(Question, Question.id == row.question_id)
        .outerjoin(
            QuestionSnooze,
            and_(QuestionSnooze.question_id == row.question_id, QuestionSnooze.user_id == row.user_id),
        )
    )


def _answered_at(subject: FromClause) -> ColumnElement[Any]:
    row = subject.c
    return (
        select(func.max(Question.closed_at))
        .where(
            Question.task_id == row.task_id,
            Question.answered_by_id == row.user_id,
            Question.status == QuestionStatus.ANSWERED,
            row.kind == NotificationKind.AWAITING,
        )
        .correlate(subject)
        .scalar_subquery()
    )


def _question_columns() -> list[ColumnElement[Any]]:
    # An alias, since the recipient is a user too.
    answerer = aliased(User)
    answered_by = select(answerer.first_name).where(answerer.id == Question.answered_by_id)
    own = (name for name in NoticeQuestion._fields if name != "answered_by")
    # Labelled, since the notice and its task have a kind, a title and an urgency too.
    columns = [getattr(Question, name).label(f"question_{name}") for name in own]
    return [*columns, answered_by.correlate(Question).scalar_subquery().label("answered_by")]


def _cooldown(subject: FromClause) -> ColumnElement[datetime]:
    began_at = PushCooldown.expires_at - literal(COOLDOWNS[NotificationKind.AWAITING], Interval)
    return (
        select(PushCooldown.expires_at)
        .where(
            PushCooldown.run_id == subject.c.run_id,
            PushCooldown.kind == subject.c.kind,
            subject.c.kind == NotificationKind.AWAITING,
            began_at < subject.c.created_at,
        )
        .correlate(subject)
        .scalar_subquery()
    )


def _notice(row: NoticeRow, now: datetime) -> Notice:
    kind = NotificationKind(row.kind)
    own = row.question.urgency if row.question else row.urgency
    urgency = Urgency(own) if own else _URGENCIES.get(kind)
    if row.verification and row.verification["verdict"] in _UNPROVEN:
        urgency = Urgency.NORMAL
    text = PushText(row.push_text or PushText.TITLE)
    minimum = PushText(row.project_push_text) if row.project_push_text else None
    recipient = Recipient(
        has_access=row.is_active and row.is_member and not row.deleted,
        is_muted=row.is_muted,
        is_allowed=row.is_allowed,
        wants_kind=row.wants_kind,
        quiet_until=_quiet_until(row.quiet_hours, now, was_quiet=row.was_quiet),
        allowed_in_quiet=frozenset(row.allow_during_quiet or ()),
    )
    context = NoticeContext(
        created_at=row.created_at,
        recipient=recipient,
        urgency=urgency or Urgency.NORMAL,
        question=QuestionStatus(row.question.status) if row.question else None,
        is_seen=row.is_seen,
        from_agent=FromAgent() if kind is NotificationKind.NOTIFY_USER else None,
        cooldown_until=row.cooldown_until,
        snoozed_until=row.snoozed_until,
        answered_at=row.answered_at,
    )
    return Notice(row, context, urgency, text.at_most(minimum))


def _quiet_until(stored: JsonDict | None, now: datetime, *, was_quiet: bool) -> datetime | None:
    if stored is None:
        return None
    hours = QuietHours.read(stored)
    if was_quiet and hours.is_whole_day:
        # The notice has waited for the end of quiet hours, where the next ones begin: it waits no longer.
        return None
    try:
        return hours.end_at(now)
    except ZoneInfoNotFoundError:
        # The zone was valid when it was stored. The push is sent all the same.
        log.error("push.zone_unknown", timezone=stored["timezone"])  # noqa: TRY400 - says it all
        return None


_NEW = Prepared(_notices(_new_subjects(), is_seen=false()), NoticeRow)
_STORED = _old_subjects()
_OLD = Prepared(_notices(_STORED, is_seen=_is_seen(_STORED)), NoticeRow)
_OLD_WITHOUT_PRESENCE = Prepared(_notices(_STORED, is_seen=false()), NoticeRow)
