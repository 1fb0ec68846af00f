"""Relay events to webhook endpoints: make a delivery for each endpoint that is to receive an event.

Only one process relays at a time. It commits its position together with the deliveries, so a relay that is killed has
completed a batch or done nothing, and the next one resumes at the same position.
"""

from collections.abc import Collection

from sqlalchemy import select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Event, EventCursor, WebhookEndpoint, WebhookEndpointDelivery
from app.services.events.cursor import AFTER, IN_ORDER, START, Cursor
from app.services.webhook_endpoints.matching import (
    PAIR_COLUMNS,
    Pair,
    deliveries_of,
    lock_receivers,
    select_wanted,
)
from app.statements import rows_of

# The most events that one transaction relays, and the most deliveries that it makes: each may have a body of 20 kB. A
# project has fewer endpoints than that, so at least one event is relayed.
BATCH = 500
MOST_DELIVERIES = 1000
_READER = "webhooks"


async def relay_events(session: AsyncSession, *, link: str, batch: int) -> int:
    """Insert the webhook deliveries for the next events of the ledger; return the number of these events.

    These are at most `batch` events, with at most `MOST_DELIVERIES` deliveries. 0 means that no further events exist
    now, or that another process is already relaying. `link` is the setting `task_url`, a template for links to tasks.
    """
    cursor = await _lock_cursor(session)
    if cursor is None:
        return 0
    statement = select(*IN_ORDER, Event.project_id).where(AFTER).order_by(*IN_ORDER).limit(batch)
    events = (await session.execute(statement, cursor.values())).all()
    if not events:
        return 0
    places = [Cursor(transaction_id, seq) for transaction_id, seq, _ in events]
    project_ids = {project_id for _, _, project_id in events}
    place = await _deliver(session, project_ids, cursor, places[-1], link=link)
    await session.execute(
        update(EventCursor)
        .where(EventCursor.reader == _READER)
        .values(transaction_id=place.transaction_id, seq=place.seq)
    )
    return sum(each <= place for each in places)


async def _deliver(
    session: AsyncSession, project_ids: Collection[int], after: Cursor, last: Cursor, *, link: str
) -> Cursor:
    """Make the deliveries of the events in these projects from a position up to another one.

    Return the position up to which they are made: an earlier one if there are more than `MOST_DELIVERIES`.
    """
    receivers = await lock_receivers(session, WebhookEndpoint.project_id.in_(project_ids))
    if not receivers:
        return last
    wanted = select_wanted(*PAIR_COLUMNS).where(
        AFTER,
        tuple_(*IN_ORDER) <= tuple_(*last),
        WebhookEndpoint.id.in_(receivers),
        # Events from before an endpoint was created are sent only by a recovery.
        WebhookEndpoint.created_at <= Event.occurred_at,
    )
    ordered = wanted.order_by(*IN_ORDER, WebhookEndpoint.id).limit(MOST_DELIVERIES + 1)
    pairs = await rows_of(session, ordered, Pair, after.values())
    if len(pairs) > MOST_DELIVERIES:
        # Whole events: the last one may have further deliveries.
        cut = pairs[-1].event.place
        pairs = [pair for pair in pairs if pair.event.place < cut]
        last = pairs[-1].event.place
    if pairs:
        rows = await deliveries_of(session, pairs, link=link)
        await session.execute(upsert(WebhookEndpointDelivery).on_conflict_do_nothing(), rows)
    return last


async def _lock_cursor(session: AsyncSession) -> Cursor | None:
    """Return the relay's position in the ledger, its row locked; None while another process holds it."""
    locked = (
        select(EventCursor.transaction_id, EventCursor.seq)
        .where(EventCursor.reader == _READER)
        .with_for_update(skip_locked=True)
    )
    row = (await session.execute(locked)).one_or_none()
    if row is not None:
        return Cursor(row.transaction_id, row.seq)
    first = upsert(EventCursor).values(reader=_READER, transaction_id=START.transaction_id, seq=START.seq)
    made = await session.execute(first.on_conflict_do_nothing().returning(EventCursor.reader))
    return START if made.one_or_none() else None
