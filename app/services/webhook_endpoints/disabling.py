"""Disable webhook endpoints that fail or have lost their owner; notify the owner by push and by event."""

from urllib.parse import urlsplit

import structlog
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import DisabledReason, EventType, NotificationKind
from app.models import User, WebhookEndpoint
from app.services.access.visibility import active_member
from app.services.events import ledger
from app.services.notifications.dispatch import push_to_user
from app.services.notifications.texts import message_body
from app.services.webhook_endpoints.endpoints import cancel_pending

log = structlog.get_logger(__name__)


async def disable(session: AsyncSession, condition: ColumnElement[bool], reason: DisabledReason) -> int:
    """Disable the enabled endpoints that meet `condition`; return how many.

    Their pending deliveries are cancelled, and an event and a push tell the creator.
    """
    now = utcnow()
    disabled = await session.execute(
        update(WebhookEndpoint)
        .where(condition, WebhookEndpoint.enabled)
        .values(enabled=False, disabled_reason=reason, updated_at=now)
        .returning(
            WebhookEndpoint.id, WebhookEndpoint.project_id, WebhookEndpoint.created_by_id, WebhookEndpoint.url
        )
    )
    rows = disabled.all()
    if rows:
        await cancel_pending(session, [row.id for row in rows])
    for row in rows:
        await ledger.record(
            session,
            EventType.WEBHOOK_ENDPOINT_DISABLED,
            project_id=row.project_id,
            user_id=row.created_by_id,
            occurred_at=now,
            data={"endpoint_id": str(row.id), "reason": reason},
        )
        kind = NotificationKind.WEBHOOK_DISABLED
        # Only the host: the path may contain a secret.
        await push_to_user(
            session, row.created_by_id, kind, message_body(kind, urlsplit(row.url).hostname or "")
        )
        log.warning("webhook.endpoint_disabled", endpoint_id=str(row.id), reason=reason)
    return len(rows)


async def disable_of_user(
    session: AsyncSession, user_id: int, reason: DisabledReason, *, project_id: int | None = None
) -> None:
    """Disable the endpoints of a user, in one project or all."""
    condition = WebhookEndpoint.created_by_id == user_id
    if project_id is not None:
        condition &= WebhookEndpoint.project_id == project_id
    await disable(session, condition, reason)


async def disable_orphaned(session: AsyncSession) -> int:
    """Disable the endpoints whose creators are not active members any more; return how many."""
    is_active = select(User.id).where(User.id == WebhookEndpoint.created_by_id, User.is_active).exists()
    member = active_member(WebhookEndpoint.created_by_id, WebhookEndpoint.project_id)
    closed = await disable(session, ~is_active, DisabledReason.CREATOR_DEACTIVATED)
    return closed + await disable(session, ~member, DisabledReason.CREATOR_LEFT)
