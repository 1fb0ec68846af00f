"""The dispatcher: who is notified of an event, on which devices, or why not (contract 7.2).

Every trigger leaves rows that say what was decided. Pending ones are delivered by a job; they are written in the
transaction of the change they report, so a crash loses neither.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import Row, and_, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import NotificationDecision, NotificationKind, Platform
from app.ids import new_id
from app.models import (
    Membership,
    Notification,
    NotificationPreferences,
    PushCooldown,
    PushToken,
    Run,
    Task,
    TaskMute,
    User,
)
from app.outages import is_outage
from app.schemas.notifications import NotificationOut, WatchedBy
from app.services.access.principal import Principal
from app.services.access.visibility import require_task
from app.services.notifications import presence
from app.services.notifications.presence import Watching

COOLDOWNS = {
    NotificationKind.COMPLETED: timedelta(seconds=600),
    NotificationKind.FAILED: timedelta(seconds=600),
    NotificationKind.CANCELLED: timedelta(seconds=600),
    NotificationKind.AWAITING: timedelta(seconds=30),
}

_UNTITLED = "Untitled task"
_DECISIONS = Counter("taskbeacon_push_decisions_total", "Pushes by what was decided.", ["kind", "decision"])

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Recipient:
    """What the rules know of a recipient."""

    has_access: bool
    is_muted: bool
    wants_kind: bool
    is_cooled_down: bool
    watching: Watching | None


@dataclass(frozen=True, slots=True)
class Device:
    """Where a push can go."""

    id: UUID
    platform: Platform


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided for one device, or for the recipient as a whole."""

    decision: NotificationDecision
    reason: str | None = None
    device: Device | None = None
    watching: Watching | None = None


def decide(recipient: Recipient, devices: Sequence[Device]) -> list[Decision]:
    """Return the decision for each device; a single one where the reason is the recipient's.

    The cooldown comes first: a trigger that it swallows asks nothing else, and one that it lets through uses it up
    whatever is decided afterwards.
    """
    if recipient.is_cooled_down:
        return [Decision(NotificationDecision.COOLED_DOWN)]
    if not recipient.has_access:
        return [Decision(NotificationDecision.NO_ACCESS)]
    if recipient.is_muted or not recipient.wants_kind:
        reason = "task_muted" if recipient.is_muted else "kind_off"
        return [Decision(NotificationDecision.MUTED, reason)]
    if not devices:
        return [Decision(NotificationDecision.NO_TOKEN)]
    if recipient.watching is not None:
        return [
            Decision(NotificationDecision.SUPPRESSED, "presence", device, recipient.watching)
            for device in devices
        ]
    return [Decision(NotificationDecision.PENDING, device=device) for device in devices]


def message_body(kind: NotificationKind, title: str) -> str:
    """Return the text of a push (contract 7.2)."""
    quoted = f'"{title or _UNTITLED}"'
    match kind:
        case NotificationKind.COMPLETED:
            return f"{quoted} finished"
        case NotificationKind.FAILED:
            return f"{quoted} failed"
        case NotificationKind.CANCELLED:
            return f"{quoted} was cancelled"
        case NotificationKind.AWAITING:
            return f"{quoted} needs your input"
        case NotificationKind.TEST:
            return f"{quoted}: this is a test"
        case NotificationKind.WEBHOOK_DISABLED:
            return f"The webhook endpoint {quoted} was disabled"


async def request(session: AsyncSession, kind: NotificationKind, run_ids: Collection[UUID]) -> None:
    """Decide who is notified that these runs reached `kind`; what is pending then is delivered after the commit.

    Part of the caller's transaction, behind a savepoint: a fault here is logged and costs the push, nothing else. An
    outage is none: it ends the transaction, and is raised.
    Of two concurrent triggers of a kind for a run, one is pushed and the other is cooled down.
    """
    try:
        async with session.begin_nested():
            rows = await _decide_all(session, kind, run_ids)
            if rows:
                await session.execute(insert(Notification), rows)
    except Exception as error:
        if is_outage(error):
            # The transaction is broken, and the change with it: the caller repeats both.
            raise
        log.exception("push.not_requested", kind=kind.value, runs=[str(run_id) for run_id in run_ids])
        return
    for row in rows:
        _DECISIONS.labels(kind.value, row["decision"].value).inc()
        log.info(
            "push.decided",
            kind=kind.value,
            run_id=str(row["run_id"]),
            decision=row["decision"].value,
            reason=row["reason"],
        )


async def _decide_all(
    session: AsyncSession, kind: NotificationKind, run_ids: Collection[UUID]
) -> list[dict[str, Any]]:
    now = utcnow()
    free = await _take_cooldowns(session, kind, run_ids, now)
    events = (await session.execute(_events(kind).where(Run.id.in_(run_ids)))).all()
    user_ids = {event.user_id for event in events}
    devices = await _devices(session, user_ids)
    watching = await presence.watching(
        session, task_ids={event.task_id for event in events}, user_ids=user_ids, now=now
    )
    rows: list[dict[str, Any]] = []
    for event in events:
        recipient = Recipient(
            has_access=event.is_active and event.is_member and not event.deleted,
            is_muted=event.is_muted,
            wants_kind=event.wants_kind,
            is_cooled_down=event.run_id not in free,
            watching=watching.get((event.task_id, event.user_id)),
        )
        decisions = decide(recipient, devices.get(event.user_id, []))
        rows.extend(_row(event, kind, decision, now) for decision in decisions)
    return rows


async def _take_cooldowns(
    session: AsyncSession, kind: NotificationKind, run_ids: Collection[UUID], now: datetime
) -> set[UUID]:
    """Start the cooldown of the runs that have none running, and return those; the rest is to stay silent."""
    taken = upsert(PushCooldown).values(
        # In one order everywhere, so that two transactions cannot wait for each other.
        [{"run_id": run_id, "kind": kind, "expires_at": now + COOLDOWNS[kind]} for run_id in sorted(run_ids)]
    )
    statement = taken.on_conflict_do_update(
        index_elements=[PushCooldown.run_id, PushCooldown.kind],
        set_={"expires_at": taken.excluded.expires_at},
        where=PushCooldown.expires_at <= now,
    ).returning(PushCooldown.run_id)
    return set((await session.scalars(statement)).all())


def _events(kind: NotificationKind) -> Any:  # Any: a Select of many columns
    """Return the statement that finds out about runs and the creators of their tasks; none without a creator."""
    return (
        select(
            Run.id.label("run_id"),
            Task.id.label("task_id"),
            Task.title,
            Task.deleted,
            User.id.label("user_id"),
            User.is_active,
            Membership.user_id.is_not(None).label("is_member"),
            TaskMute.user_id.is_not(None).label("is_muted"),
            func.coalesce(getattr(NotificationPreferences, kind.value), True).label("wants_kind"),
        )
        .join(Task, Task.id == Run.task_id)
        .join(User, User.id == Task.created_by_id)
        .outerjoin(Membership, and_(Membership.user_id == User.id, Membership.project_id == Task.project_id))
        .outerjoin(TaskMute, and_(TaskMute.user_id == User.id, TaskMute.task_id == Task.id))
        .outerjoin(NotificationPreferences, NotificationPreferences.user_id == User.id)
    )


async def _devices(session: AsyncSession, user_ids: Collection[int]) -> dict[int, list[Device]]:
    devices: dict[int, list[Device]] = {}
    rows = await session.execute(
        select(PushToken.user_id, PushToken.id, PushToken.platform)
        .where(PushToken.user_id.in_(user_ids))
        .order_by(PushToken.id)
    )
    for row in rows:
        devices.setdefault(row.user_id, []).append(Device(row.id, Platform(row.platform)))
    return devices


def _row(event: Row[Any], kind: NotificationKind, decision: Decision, now: datetime) -> dict[str, Any]:
    is_pending = decision.decision is NotificationDecision.PENDING
    device, watching = decision.device, decision.watching
    return {
        "id": new_id(),
        "task_id": event.task_id,
        "run_id": event.run_id,
        "user_id": event.user_id,
        "kind": kind,
        "body": message_body(kind, event.title),
        "device_id": device.id if device else None,
        "platform": device.platform if device else None,
        "decision": decision.decision,
        "reason": decision.reason,
        "watching_device_id": watching.device_id if watching else None,
        "watching_beat_at": watching.beat_at if watching else None,
        "created_at": now,
        "due_at": now if is_pending else None,
        "settled_at": None if is_pending else now,
    }


async def list_notifications(
    session: AsyncSession, caller: Principal, task_id: UUID, *, limit: int, offset: int
) -> tuple[int, list[NotificationOut]]:
    """Return how many decisions about the caller's pushes for a task there are, and a page of them, newest first.

    Raises:
        NotFound: there is no such task for this caller.

    """
    await require_task(session, caller, task_id)
    own = and_(Notification.task_id == task_id, Notification.user_id == caller.user_id)
    count = await session.scalar(select(func.count()).select_from(Notification).where(own)) or 0
    rows = await session.scalars(
        select(Notification)
        .where(own)
        .order_by(Notification.created_at.desc(), Notification.id.desc())
        .limit(limit)
        .offset(offset)
    )
    return count, [_notification_out(row) for row in rows]


def _notification_out(row: Notification) -> NotificationOut:
    watched_by: WatchedBy | None = None
    if row.watching_device_id is not None and row.watching_beat_at is not None:
        age = row.created_at - row.watching_beat_at
        watched_by = {"device": row.watching_device_id, "seconds_ago": age.total_seconds()}
    return {
        "id": row.id,
        "run": row.run_id,
        "kind": NotificationKind(row.kind),
        "body": row.body,
        "device": row.device_id,
        "platform": Platform(row.platform) if row.platform else None,
        "decision": NotificationDecision(row.decision),
        "reason": row.reason,
        "watched_by": watched_by,
        "attempts": row.attempts,
        "created_at": row.created_at,
        "next_attempt_at": row.due_at,
        "sent_at": row.sent_at,
        "settled_at": row.settled_at,
    }
