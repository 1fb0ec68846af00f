"""Show people the decisions about their own pushes: sent or not, and why (contract 16)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import NotificationDecision, NotificationKind, Platform
from app.models import Notification
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
        age = row.created_at - row.watching_beat_at
        watched_by = {"device": row.watching_device_id, "seconds_ago": age.total_seconds()}
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
