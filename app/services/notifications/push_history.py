"""Show people the decisions about their own pushes, sent or not and why, and delete old ones (contract 16)."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db.sweeping import delete_batch
from app.enums import NotificationDecision, NotificationKind, Platform, QuestionStatus
from app.models import Notification, Question
from app.models.base import constant
from app.schemas.base import Page
from app.schemas.notifications import NotificationOut, WatchedBy
from app.services.access.principal import Principal
from app.services.access.visibility import require_task


async def list_notifications(
    session: AsyncSession, caller: Principal, task_id: UUID, page: Page
) -> tuple[int, list[NotificationOut]]:
    await require_task(session, caller, task_id)
    own = and_(
        Notification.task_id == task_id,
        Notification.user_id == caller.user_id,
        # Reminders and retractions are in the histories of their notices.
        Notification.replaces.is_(None),
    )
    count = await session.scalar(select(func.count()).select_from(Notification).where(own)) or 0
    rows = await session.scalars(
        select(Notification)
        .where(own)
        .order_by(Notification.created_at.desc(), Notification.id.desc())
        .limit(page.limit)
        .offset(page.offset)
    )
    return count, [_notification_out(row) for row in rows]


def _notification_out(row: Notification) -> NotificationOut:
    watched_by: WatchedBy | None = None
    if row.watching_device_id is not None and row.watching_beat_at is not None:
        decided = [
            datetime.fromisoformat(entry["at"]) for entry in row.history if entry["reason"] == "presence"
        ]
        age = max(decided, default=row.created_at) - row.watching_beat_at
        # COMPATIBILITY: 0.1.0 stores beats after the decision.
        seconds = max(age.total_seconds(), 0.0)
        watched_by = {"device": row.watching_device_id, "seconds_ago": seconds}
    return {
        "id": row.id,
        "run": row.run_id,
        "kind": NotificationKind(row.kind),
        "title": row.title,
        "body": row.body,
        "device": row.device_id,
        "platform": Platform(row.platform) if row.platform else None,
        "decision": NotificationDecision(row.decision),
        "reason": row.reason,
        "watched_by": watched_by,
        "attempts": row.attempts,
        "created_at": row.created_at,
        "next_attempt_at": row.due_at,
        "due_at": row.due_at,
        "deferred_for": row.deferred_for,
        "sent_at": row.sent_at,
        "settled_at": row.settled_at,
        "history": [
            {
                "decision": NotificationDecision(entry["decision"]),
                "reason": entry["reason"],
                "at": datetime.fromisoformat(entry["at"]),
            }
            for entry in row.history
        ],
    }


async def sweep_history(session: AsyncSession, *, kept: timedelta) -> int:
    """Delete a batch of notifications older than `kept`, unless they wait or their question does; return how many."""
    push = Notification
    # Looked up for each old push: for a join the planner would read all questions.
    question = select(Question.status).where(Question.id == push.question_id).scalar_subquery()
    is_answered = question.is_distinct_from(constant(QuestionStatus.OPEN))
    is_over = and_(push.due_at.is_(None), push.receipt_due_at.is_(None), is_answered)
    expired = and_(push.created_at <= utcnow() - kept, is_over)
    return await delete_batch(session, push, expired, oldest=push.created_at)
