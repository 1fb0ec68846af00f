"""Show the deliveries of a webhook endpoint to its owner, send test messages, and send messages again."""

import operator
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.webhooks.webhook_messages import FIXED_HEADERS
from app.clock import utcnow
from app.db.statements import count_changed, row_of
from app.db.sweeping import delete_batch
from app.enums import AttemptOutcome, DeliveryError, DeliveryStatus, EventType, Scope
from app.errors import InvalidInput, NotFound, Throttled
from app.ids import new_id
from app.models import WebhookAttempt, WebhookEndpoint, WebhookEndpointDelivery
from app.models.base import constant
from app.schemas.base import Page
from app.schemas.webhook_endpoints import AttemptOut, DeliveryDetailOut, DeliveryOut, DeliveryQuery
from app.services.access.principal import Principal
from app.services.access.scopes import has_scope
from app.services.access.visibility import own_endpoint, require_endpoint
from app.services.events import ledger
from app.services.events.rendering import ping_body
from app.services.views.newest_page import newest_page

_PING_PAUSE = timedelta(seconds=1)
_MASKED = "v1,***"
_DISABLED = "The endpoint is disabled; enable it first."


class DeliveryRow(NamedTuple):
    id: UUID
    event_id: UUID
    event_type: str
    task_id: UUID | None
    run_id: UUID | None
    status: DeliveryStatus
    attempts: int
    created_at: datetime
    due_at: datetime
    delivered_at: datetime | None


class _DeliveryAndMessage(NamedTuple):
    delivery: DeliveryRow
    body: str
    last_attempt_at: datetime | None


_SHOWN = [getattr(WebhookEndpointDelivery, name) for name in DeliveryRow._fields]
_FILTERS: Mapping[str, tuple[Any, Callable[[Any, Any], ColumnElement[bool]]]] = {
    "status": (WebhookEndpointDelivery.status, operator.eq),
    "event_type": (WebhookEndpointDelivery.event_type, operator.eq),
    "task_id": (WebhookEndpointDelivery.task_id, operator.eq),
    "after": (WebhookEndpointDelivery.created_at, operator.gt),
    "before": (WebhookEndpointDelivery.created_at, operator.lt),
}


async def list_deliveries(
    session: AsyncSession, caller: Principal, endpoint_id: UUID, query: DeliveryQuery, page: Page
) -> tuple[int, list[DeliveryOut]]:
    await require_endpoint(session, caller, endpoint_id)
    matching = select(*_SHOWN).where(WebhookEndpointDelivery.endpoint_id == endpoint_id, *_conditions(query))
    count, rows = await newest_page(session, matching, WebhookEndpointDelivery, page, DeliveryRow)
    return count, [_out(row) for row in rows]


async def retrieve_delivery(
    session: AsyncSession, caller: Principal, endpoint_id: UUID, delivery_id: UUID
) -> DeliveryDetailOut:
    """Return a delivery with its request, without secret and signature, and all attempts."""
    statement = (
        select(*_SHOWN, WebhookEndpointDelivery.body, WebhookEndpointDelivery.last_attempt_at)
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookEndpointDelivery.endpoint_id)
        .where(WebhookEndpointDelivery.id == delivery_id, own_endpoint(caller, endpoint_id))
    )
    found = await row_of(session, statement, _DeliveryAndMessage)
    if found is None:
        raise NotFound
    row, body, last_attempt_at = found
    attempts = await session.scalars(
        select(WebhookAttempt).where(WebhookAttempt.delivery_id == delivery_id).order_by(WebhookAttempt.n)
    )
    is_shown = has_scope(caller, Scope.TASK_READ)
    return {
        **_out(row),
        "request": {
            "headers": _headers(row, last_attempt_at or row.due_at),
            "body": body if is_shown else None,
        },
        "attempts": [_attempt_out(attempt, is_shown=is_shown) for attempt in attempts],
    }


async def ping(session: AsyncSession, caller: Principal, endpoint_id: UUID) -> UUID:
    """Add a test message to an endpoint of the caller, at most one a second, even to a disabled one."""
    now = utcnow()
    is_rested = or_(WebhookEndpoint.last_ping_at.is_(None), WebhookEndpoint.last_ping_at <= now - _PING_PAUSE)
    pinged = update(WebhookEndpoint).where(own_endpoint(caller, endpoint_id), is_rested)
    if not await count_changed(session, pinged.values(last_ping_at=now)):
        await require_endpoint(session, caller, endpoint_id)
        raise Throttled(1)
    return await add_ping(session, endpoint_id, caller.project.id)


async def add_ping(session: AsyncSession, endpoint_id: UUID, project_id: int) -> UUID:
    """Add a test message, with one attempt, to an endpoint that exists; return the id of its delivery."""
    delivery_id, now = new_id(), utcnow()
    await _probe_now(session, WebhookEndpoint.id == endpoint_id)
    await session.execute(
        insert(WebhookEndpointDelivery).values(
            id=delivery_id,
            endpoint_id=endpoint_id,
            event_id=new_id(),
            event_type=EventType.PING,
            event_at=now,
            body=ping_body(endpoint_id, project_id, now),
            status=DeliveryStatus.PENDING,
            attempts_allowed=1,
            due_at=now,
            is_manual=True,
            created_at=now,
        )
    )
    ledger.wake_readers(session)
    return delivery_id


async def redeliver(
    session: AsyncSession, caller: Principal, endpoint_id: UUID, delivery_id: UUID
) -> DeliveryOut:
    """Let a delivery be sent again at once, under the same message id; one that has ended gets one more attempt."""
    await require_enabled(session, caller, endpoint_id)
    row = await schedule_redelivery(
        session,
        and_(WebhookEndpointDelivery.id == delivery_id, WebhookEndpointDelivery.endpoint_id == endpoint_id),
    )
    if row is None:
        raise NotFound
    return _out(row)


async def schedule_redelivery(session: AsyncSession, condition: ColumnElement[bool]) -> DeliveryRow | None:
    """Let the one delivery that meets `condition` be sent again at once; return it, or None."""
    delivery = WebhookEndpointDelivery
    allowed = case((delivery.status == constant(DeliveryStatus.PENDING), delivery.attempts_allowed), else_=0)
    await _probe_now(session, WebhookEndpoint.id.in_(select(delivery.endpoint_id).where(condition)))
    asked = (
        update(delivery)
        .where(condition)
        .values(
            status=DeliveryStatus.PENDING,
            due_at=utcnow(),
            is_manual=True,
            # Not fewer than one more: the last attempt may be under way.
            attempts_allowed=func.greatest(allowed, delivery.attempts + 1),
        )
        .returning(*_SHOWN)
    )
    ledger.wake_readers(session)
    return await row_of(session, asked, DeliveryRow)


async def _probe_now(session: AsyncSession, condition: ColumnElement[bool]) -> None:
    await session.execute(
        update(WebhookEndpoint)
        .where(condition, WebhookEndpoint.probe_at.is_not(None))
        .values(probe_at=None)
        .execution_options(synchronize_session=False)
    )


async def require_enabled(session: AsyncSession, caller: Principal, endpoint_id: UUID) -> None:
    """Lock an endpoint of the caller, and refuse it if it is disabled."""
    is_enabled = await session.scalar(
        select(WebhookEndpoint.enabled)
        .where(own_endpoint(caller, endpoint_id))
        .with_for_update(key_share=True)
    )
    if is_enabled is None:
        raise NotFound
    if not is_enabled:
        raise InvalidInput(_DISABLED)


def _conditions(query: DeliveryQuery) -> list[ColumnElement[bool]]:
    return [
        compare(column, value)
        for name, (column, compare) in _FILTERS.items()
        if (value := getattr(query, name)) is not None
    ]


def _out(row: DeliveryRow) -> DeliveryOut:
    shown = row._asdict()
    due_at = shown.pop("due_at")
    shown["next_attempt_at"] = due_at if row.status is DeliveryStatus.PENDING else None
    return cast("DeliveryOut", shown)


def _headers(row: DeliveryRow, at: datetime) -> dict[str, str]:
    return {
        **FIXED_HEADERS,
        "webhook-id": str(row.event_id),
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": _MASKED,
    }


def _attempt_out(row: WebhookAttempt, *, is_shown: bool) -> AttemptOut:
    return {
        "n": row.n,
        "manual": row.is_manual,
        "started_at": row.started_at,
        "duration_ms": row.duration_ms,
        "outcome": "delivered" if row.outcome == AttemptOutcome.DELIVERED else "failed",
        "status_code": row.status_code,
        "response_excerpt": row.response_excerpt if is_shown else None,
        "error": None if row.error is None else DeliveryError(row.error),
        "resolved_ip": row.resolved_ip,
        "next_attempt_at": row.next_attempt_at,
    }


async def prune_deliveries(session: AsyncSession, *, kept: timedelta) -> int:
    """Delete a batch of deliveries older than `kept` that are not pending; return how many."""
    delivery = WebhookEndpointDelivery
    expired = and_(delivery.created_at <= utcnow() - kept, delivery.status != DeliveryStatus.PENDING)
    # Fewer than of other tables: each may have a body of 20 kB.
    return await delete_batch(session, delivery, expired, oldest=delivery.created_at, most=2000)
