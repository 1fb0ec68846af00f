"""Remove webhook deliveries and their attempts after the retention time of events."""

from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import DeliveryStatus
from app.models import WebhookEndpointDelivery

_AT_ONCE = 2000


async def prune_deliveries(sessions: SessionFactory, kept: timedelta) -> int:
    """Delete the webhook deliveries that are older than `kept` and not pending, with their attempts; return how many.

    Each transaction deletes a limited number of them. It is safe to call this again.
    """
    total, removed = 0, _AT_ONCE
    while removed >= _AT_ONCE:
        async with unit_of_work(sessions) as session:
            removed = await _prune(session, kept)
        total += removed
    return total


async def _prune(session: AsyncSession, kept: timedelta) -> int:
    old = (
        select(WebhookEndpointDelivery.id)
        .where(
            WebhookEndpointDelivery.created_at <= utcnow() - kept,
            WebhookEndpointDelivery.status != DeliveryStatus.PENDING,
        )
        .order_by(WebhookEndpointDelivery.created_at)
        .limit(_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    statement = delete(WebhookEndpointDelivery).where(WebhookEndpointDelivery.id.in_(old))
    return len((await session.execute(statement.returning(WebhookEndpointDelivery.id))).all())
