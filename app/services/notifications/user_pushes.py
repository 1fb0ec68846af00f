"""Send pushes to one person that are not about a task."""

from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import NotificationDecision, NotificationKind
from app.ids import new_id
from app.models import Notification, PushToken, User
from app.models.push_tokens import HAS_ADDRESS


async def push_to_user(session: AsyncSession, user_id: int, kind: NotificationKind, body: str) -> None:
    """Add a push with this text, which nothing delays, for each device of a user with an active account."""
    now = utcnow()
    devices = await session.execute(
        select(PushToken.id, PushToken.platform)
        .join(User, User.id == PushToken.user_id)
        .where(PushToken.user_id == user_id, HAS_ADDRESS, User.is_active)
        .order_by(PushToken.id)
    )
    rows: list[dict[str, Any]] = [
        {
            "id": new_id(),
            "user_id": user_id,
            "kind": kind,
            "body": body,
            "device_id": device.id,
            "platform": device.platform,
            "decision": NotificationDecision.PENDING,
            "created_at": now,
            "due_at": now,
        }
        for device in devices
    ]
    if rows:
        await session.execute(insert(Notification), rows)
