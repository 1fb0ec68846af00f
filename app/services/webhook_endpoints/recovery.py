"""Recover events that a webhook endpoint missed in a period: send them again, but none that was delivered."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.config import Settings
from app.enums import DeliveryStatus, EventType, RecoverOnly
from app.errors import InvalidInput
from app.models import Event, WebhookEndpointDelivery
from app.schemas.webhook_endpoints import RecoverIn
from app.services.access.principal import Principal
from app.services.events import ledger
from app.services.events.cursor import AFTER, IN_ORDER, START
from app.services.events.reading import place_of
from app.services.retrying.policies import WEBHOOK_ATTEMPTS
from app.services.webhook_endpoints.deliveries import require_enabled
from app.services.webhook_endpoints.matching import (
    Columns,
    deliveries_of,
    select_matched,
    select_receivers,
    wants,
)

_BATCH = 1000
_MISSED = (DeliveryStatus.FAILED, DeliveryStatus.CANCELLED)


async def recover(
    session: AsyncSession, caller: Principal, endpoint_id: UUID, body: RecoverIn, *, settings: Settings
) -> int:
    """Schedule the failed and cancelled deliveries of a webhook endpoint in a period for sending; return their number.

    If `body.only` is `all`, also make deliveries for the events of the period that have none; the number includes them.
    The period ends now if `body.until` is None. Test messages are never sent again.

    Raises:
        InvalidInput: the endpoint is disabled, events from the beginning of the period are no longer stored, or the
            period ends before it begins.
        NotFound: the caller has no such endpoint in the project.

    """
    await require_enabled(session, caller, endpoint_id)
    now = utcnow()
    days = settings.event_retention_days
    if body.since < now - timedelta(days=days):
        raise InvalidInput(f"Events are kept for {days} days; choose a later time.", attr="since")
    until = now if body.until is None else min(body.until, now)
    if until < body.since:
        raise InvalidInput("The end may not be before the beginning.", attr="until")
    count = await _send_again(session, endpoint_id, body.since, until)
    if body.only is RecoverOnly.ALL:
        count += await _send_missing(
            session, caller.project.id, endpoint_id, body.since, until, link=settings.task_url
        )
    ledger.wake_readers(session)
    return count


async def _send_again(session: AsyncSession, endpoint_id: UUID, since: datetime, until: datetime) -> int:
    delivery = WebhookEndpointDelivery
    again = await session.execute(
        update(delivery)
        .where(
            delivery.endpoint_id == endpoint_id,
            delivery.status.in_(_MISSED),
            delivery.event_type != EventType.PING,
            delivery.event_at >= since,
            delivery.event_at <= until,
        )
        .values(
            status=DeliveryStatus.PENDING,
            due_at=utcnow(),
            attempts_allowed=delivery.attempts + WEBHOOK_ATTEMPTS,
        )
        .returning(delivery.id)
    )
    return len(again.all())


async def _send_missing(
    session: AsyncSession, project_id: int, endpoint_id: UUID, since: datetime, until: datetime, *, link: str
) -> int:
    receivers = (await session.execute(select_receivers([project_id]))).mappings()
    endpoint = next((row for row in receivers if row["id"] == endpoint_id), None)
    if endpoint is None:
        return 0
    made = 0
    async for events in _batches(session, project_id, since, until):
        pairs: list[tuple[Columns, Columns]] = [
            (endpoint, event) for event in events if wants(endpoint, event)
        ]
        if pairs:
            rows = await deliveries_of(session, pairs, link=link)
            inserted = await session.execute(
                upsert(WebhookEndpointDelivery)
                .on_conflict_do_nothing()
                .returning(WebhookEndpointDelivery.id),
                rows,
            )
            made += len(inserted.all())
    return made


async def _batches(
    session: AsyncSession, project_id: int, since: datetime, until: datetime
) -> AsyncGenerator[Sequence[Any], None]:
    """Yield the events of a project in a period, in batches of rows with `MATCHED_COLUMNS`."""
    place = START
    statement = (
        select_matched()
        .where(Event.project_id == project_id, AFTER, Event.occurred_at >= since, Event.occurred_at <= until)
        .order_by(*IN_ORDER)
        .limit(_BATCH)
    )
    while True:
        events = (await session.execute(statement, place.values())).mappings().all()
        if events:
            yield events
        if len(events) < _BATCH:
            return
        place = place_of(events[-1])
