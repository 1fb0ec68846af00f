"""List and test the webhook endpoints of all users, and send messages again, for operators."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import DeliveryStatus
from app.errors import NotFound
from app.json_types import JsonDict
from app.models import WebhookEndpoint, WebhookEndpointDelivery
from app.services.webhook_endpoints.deliveries import add_ping, schedule_redelivery


async def list_all(session: AsyncSession, *, project_id: int | None) -> list[JsonDict]:
    """Return all endpoints, or those of a project, oldest first, with numbers of pending and failed deliveries."""
    counts = [
        func.count(WebhookEndpointDelivery.id).filter(WebhookEndpointDelivery.status == status).label(status)
        for status in (DeliveryStatus.PENDING, DeliveryStatus.FAILED)
    ]
    endpoint = WebhookEndpoint
    columns = (
        endpoint.id,
        endpoint.project_id,
        endpoint.created_by_id,
        endpoint.url,
        endpoint.event_types,
        endpoint.enabled,
        endpoint.disabled_reason,
        endpoint.consecutive_failures,
        endpoint.last_success_at,
        endpoint.last_failure_at,
    )
    statement = (
        select(*columns, *counts)
        .outerjoin(WebhookEndpointDelivery, WebhookEndpointDelivery.endpoint_id == endpoint.id)
        .group_by(endpoint.id)
        .order_by(endpoint.created_at, endpoint.id)
    )
    if project_id is not None:
        statement = statement.where(endpoint.project_id == project_id)
    return [row._asdict() for row in await session.execute(statement)]


async def ping(session: AsyncSession, endpoint_id: UUID) -> UUID:
    project_id = await session.scalar(
        select(WebhookEndpoint.project_id).where(WebhookEndpoint.id == endpoint_id)
    )
    if project_id is None:
        raise NotFound(f"Webhook endpoint {endpoint_id} does not exist.")
    return await add_ping(session, endpoint_id, project_id)


async def redeliver(session: AsyncSession, delivery_id: UUID) -> UUID:
    if await schedule_redelivery(session, WebhookEndpointDelivery.id == delivery_id) is None:
        raise NotFound(f"Webhook delivery {delivery_id} does not exist.")
    return delivery_id
