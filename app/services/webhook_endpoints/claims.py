"""Claim deliveries that are due, a few of each endpoint.

A claim is a lease: the claims of a killed worker become due again by themselves. A message that it was sending may have
arrived, and is sent again under the same id: twice is better than not at all.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import DeliveryStatus, EventType
from app.models import WebhookEndpoint, WebhookEndpointDelivery
from app.security import Cipher, DecryptionError
from app.services.webhook_endpoints.secrets import live_secrets
from app.services.webhook_endpoints.sending import Message
from app.statements import Fields, Prepared

# Longer than an attempt and the recording of its outcome.
WEBHOOK_LEASE = timedelta(seconds=60)
# Parallel attempts per endpoint, so that a slow receiver does not delay other endpoints.
PER_ENDPOINT = 4
# After so many failures in a row an endpoint gets one attempt at a time: all endpoints of a project may hang, and must
# not take the turns of others.
FAILING_AFTER = PER_ENDPOINT

# Serialises claims, so that each counts the deliveries that others have claimed.
_CLAIM_LOCK = 0x7765_6268


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this process holds, proven by the number of the attempt."""

    id: UUID
    endpoint_id: UUID
    n: int
    is_ping: bool
    is_manual: bool
    message: Message = field(repr=False)


async def claim_due(session: AsyncSession, *, limit: int, cipher: Cipher) -> list[Claimed]:
    """Claim at most `limit` deliveries that are due, a few of each endpoint, for the length of the lease."""
    now = utcnow()
    await session.execute(text(f"SELECT pg_advisory_xact_lock({_CLAIM_LOCK})"))
    # After the lock, so that the statement sees the claims made while this one waited.
    rows = await _CLAIM.all(session, {"now": now, "until": now + WEBHOOK_LEASE, "limit": limit})
    return [
        Claimed(
            id=row["id"],
            endpoint_id=row["endpoint_id"],
            n=row["attempts"],
            is_manual=row["is_manual"],
            is_ping=row["event_type"] == EventType.PING,
            message=Message(
                id=row["event_id"],
                url=row["url"],
                body=row["body"],
                secrets=_secrets(row, cipher, now=now),
            ),
        )
        for row in rows
    ]


def _secrets(row: Fields, cipher: Cipher, *, now: datetime) -> tuple[str, ...]:
    """Return the secrets that sign; none if the service lost the key that encrypted them."""
    try:
        return tuple(live_secrets(row["encrypted_secret"], row["encrypted_old_secrets"], cipher, now=now))
    except DecryptionError:
        return ()


def _claim_statement() -> Any:  # Any: a Select of many columns
    now = bindparam("now", type_=WebhookEndpointDelivery.due_at.type)
    delivery, endpoint = WebhookEndpointDelivery, WebhookEndpoint
    is_held = and_(delivery.leased_until.is_not(None), delivery.leased_until > now)
    under_way = (
        select(delivery.endpoint_id, func.count().label("count"))
        .where(delivery.status == DeliveryStatus.PENDING, is_held)
        .group_by(delivery.endpoint_id)
        .cte("under_way")
    )
    most = case(
        (
            endpoint.consecutive_failures < literal_column(str(FAILING_AFTER)),
            literal_column(str(PER_ENDPOINT)),
        ),
        else_=literal_column("1"),
    )
    room: ColumnElement[int] = most - func.coalesce(under_way.c.count, 0)
    due = (
        select(delivery.id, delivery.due_at)
        .where(
            delivery.endpoint_id == endpoint.id,
            delivery.status == DeliveryStatus.PENDING,
            delivery.due_at <= now,
            or_(delivery.leased_until.is_(None), delivery.leased_until <= now),
        )
        .correlate(endpoint)
        .order_by(delivery.due_at, delivery.id)
        .limit(PER_ENDPOINT)
        .with_for_update(skip_locked=True)
        .lateral("due")
    )
    place = func.row_number().over(partition_by=endpoint.id, order_by=(due.c.due_at, due.c.id))
    candidates = (
        select(due.c.id, due.c.due_at, place.label("place"), room.label("room"))
        .select_from(endpoint)
        .outerjoin(under_way, under_way.c.endpoint_id == endpoint.id)
        .join(due, true())
        .cte("candidates")
    )
    chosen = (
        select(candidates.c.id)
        .where(candidates.c.place <= candidates.c.room)
        # The first delivery of each endpoint, then the second: no endpoint waits for the many deliveries of another.
        .order_by(candidates.c.place, candidates.c.due_at)
        .limit(bindparam("limit"))
    )
    taken = (
        update(delivery)
        .where(delivery.id.in_(chosen), delivery.status == DeliveryStatus.PENDING)
        .values(
            attempts=delivery.attempts + 1,
            leased_until=bindparam("until", type_=delivery.leased_until.type),
        )
        .returning(
            delivery.id,
            delivery.endpoint_id,
            delivery.event_id,
            delivery.event_type,
            delivery.body,
            delivery.attempts,
            delivery.is_manual,
        )
        .cte("taken")
    )
    return select(taken, endpoint.url, endpoint.encrypted_secret, endpoint.encrypted_old_secrets).join(
        endpoint, endpoint.id == taken.c.endpoint_id
    )


_CLAIM = Prepared(_claim_statement())


async def next_due(session: AsyncSession) -> datetime | None:
    """Return the time at which the next free delivery is due; None if there is none."""
    row = await _NEXT.first(session, {})
    return None if row is None else row["due_at"]


_NEXT = Prepared(
    select(
        func.min(func.greatest(WebhookEndpointDelivery.due_at, WebhookEndpointDelivery.leased_until)).label(
            "due_at"
        )
    ).where(WebhookEndpointDelivery.status == DeliveryStatus.PENDING)
)
