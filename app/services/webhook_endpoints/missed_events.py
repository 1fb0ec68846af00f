"""Recover events that a webhook endpoint missed in a period: send them again, except those that were delivered."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, and_, bindparam, func, not_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.config import Settings
from app.db.statements import Prepared, count_changed, rows_of
from app.enums import DeliveryStatus, EventType, RecoverOnly
from app.errors import InvalidInput
from app.models import Event, WebhookEndpoint, WebhookEndpointDelivery, WebhookRecovery
from app.models.base import literal_int
from app.outages import is_outage
from app.schemas.webhook_endpoints import RecoverIn
from app.services.access.principal import Principal
from app.services.events import ledger
from app.services.events.cursor import AFTER, IN_ORDER, START, Cursor
from app.services.retrying.policies import WEBHOOK_ATTEMPTS, WEBHOOK_RECOVERY_PAUSE
from app.services.webhook_endpoints.deliveries import require_enabled
from app.services.webhook_endpoints.relay import (
    PAIR_COLUMNS,
    Pair,
    lock_receivers,
    make_deliveries,
    select_wanted,
)

_MISSED = (DeliveryStatus.FAILED, DeliveryStatus.CANCELLED)
# A quarter of what one statement can change in its time limit.
MOST_AGAIN = 250_000
# A delivery is made after its event, but the clock of the process that makes it may be behind.
_CLOCKS_APART = timedelta(hours=1)

log = structlog.get_logger(__name__)


async def recover(
    session: AsyncSession,
    caller: Principal,
    endpoint_id: UUID,
    body: RecoverIn,
    *,
    settings: Settings,
    most: int = MOST_AGAIN,
) -> int:
    """Send failed and cancelled deliveries of a period again, with `only: all` missing ones too; return how many."""
    await require_enabled(session, caller, endpoint_id)
    now = utcnow()
    days = settings.event_retention_days
    if days and body.since < now - timedelta(days=days):
        raise InvalidInput(f"Events are kept for {days} days; choose a later time.", attr="since")
    until = now if body.until is None else min(body.until, now)
    if until < body.since:
        raise InvalidInput("The end may not be before the beginning.", attr="until")
    count = await _send_again(session, endpoint_id, body.since, until, most)
    if body.only is RecoverOnly.ALL:
        count += await _begin(session, endpoint_id, body.since, until)
    ledger.wake_readers(session)
    return count


async def continue_recovery(session: AsyncSession, *, link: str, batch: int) -> bool:
    """Make up to `batch` deliveries of the oldest recovery; False: none is left, or another worker continues it."""
    found = await _LONGEST_WAITING.first(session, {"now": utcnow()})
    if found is None:
        return False
    (endpoint_id,) = found
    # Before the recovery, as in a deletion of the endpoint: otherwise both could wait for each other.
    receivers = await lock_receivers(session, WebhookEndpoint.id == endpoint_id)
    row = await session.get(WebhookRecovery, endpoint_id, with_for_update={"skip_locked": True})
    if row is None:
        return False
    try:
        async with session.begin_nested():
            pairs = await _missing_pairs(session, row, batch) if receivers else []
            await make_deliveries(session, pairs, link=link)
    except Exception as error:
        if is_outage(error):
            raise
        log.exception("webhook.recovery_failed", endpoint_id=str(endpoint_id))
        # The recoveries of other endpoints continue meanwhile.
        row.continued_at = utcnow() + WEBHOOK_RECOVERY_PAUSE
        await session.flush()
        return True
    if len(pairs) < batch:
        await session.delete(row)
    else:
        row.transaction_id, row.seq = pairs[-1].event.place
        row.continued_at = utcnow()
    await session.flush()
    return True


# Runs at each wake, in every worker.
_LONGEST_WAITING = Prepared(
    select(WebhookRecovery.endpoint_id)
    .where(WebhookRecovery.continued_at <= bindparam("now", type_=WebhookRecovery.continued_at.type))
    .order_by(WebhookRecovery.continued_at, WebhookRecovery.endpoint_id)
    .limit(literal_int(1))
)


async def _missing_pairs(session: AsyncSession, recovery: WebhookRecovery, batch: int) -> Sequence[Pair]:
    statement = (
        select_wanted(*PAIR_COLUMNS)
        .where(_is_missing(recovery.endpoint_id, recovery.since, recovery.until))
        .order_by(*IN_ORDER)
        .limit(batch)
    )
    place = Cursor(recovery.transaction_id, recovery.seq)
    return await rows_of(session, statement, Pair, place.values())


async def _send_again(
    session: AsyncSession, endpoint_id: UUID, since: datetime, until: datetime, most: int
) -> int:
    delivery = WebhookEndpointDelivery
    missed = (
        delivery.endpoint_id == endpoint_id,
        delivery.status.in_(_MISSED),
        delivery.event_type != EventType.PING,
        delivery.event_at >= since,
        delivery.event_at <= until,
        # Where the index begins to read.
        delivery.created_at >= since - _CLOCKS_APART,
    )
    counted = select(delivery.id).where(*missed).limit(most + 1).subquery()
    count = await session.scalar(select(func.count()).select_from(counted)) or 0
    if count > most:
        error = f"More than {most} messages were missed in this period; choose a shorter one."
        raise InvalidInput(error, attr="since")
    again = (
        update(delivery)
        .where(*missed)
        .values(
            status=DeliveryStatus.PENDING,
            due_at=utcnow(),
            attempts_allowed=delivery.attempts + WEBHOOK_ATTEMPTS,
        )
        .execution_options(synchronize_session=False)
    )
    return await count_changed(session, again)


async def _begin(session: AsyncSession, endpoint_id: UUID, since: datetime, until: datetime) -> int:
    # Joined with a recovery under way.
    missing = select_wanted(func.count()).where(_is_missing(endpoint_id, since, until))
    count: int = await session.scalar(missing, START.values()) or 0
    if count:
        begun = upsert(WebhookRecovery).values(
            endpoint_id=endpoint_id,
            since=since,
            until=until,
            transaction_id=START.transaction_id,
            seq=START.seq,
            continued_at=utcnow(),
        )
        joined = {
            "since": func.least(WebhookRecovery.since, begun.excluded.since),
            "until": func.greatest(WebhookRecovery.until, begun.excluded.until),
            "transaction_id": begun.excluded.transaction_id,
            "seq": begun.excluded.seq,
        }
        await session.execute(
            begun.on_conflict_do_update(index_elements=[WebhookRecovery.endpoint_id], set_=joined)
        )
    return count


def _is_missing(endpoint_id: UUID, since: datetime, until: datetime) -> ColumnElement[bool]:
    delivery = WebhookEndpointDelivery
    has_delivery = (
        select(delivery.id)
        .where(delivery.endpoint_id == WebhookEndpoint.id, delivery.event_id == Event.id)
        .correlate(WebhookEndpoint, Event)
        .exists()
    )
    return and_(
        WebhookEndpoint.id == endpoint_id,
        AFTER,
        Event.occurred_at >= since,
        Event.occurred_at <= until,
        not_(has_delivery),
    )
