"""Make a webhook delivery for each endpoint that is to receive an event, in order, by one process at a time."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import after_commit
from app.db.statements import Prepared, rows_of
from app.enums import DeliveryStatus, PayloadKind
from app.ids import new_id
from app.models import Event, EventCursor, EventSnapshot, Task, WebhookEndpoint, WebhookEndpointDelivery
from app.services.access.visibility import active_member, is_for_user
from app.services.events.cursor import AFTER, IN_ORDER, START, Cursor
from app.services.events.event_reading import EVENT_COLUMNS, SELECTORS
from app.services.events.rendering import EventRow, event_body, event_data
from app.services.retrying.policies import WEBHOOK_ATTEMPTS

# The most events that one transaction relays, and the most deliveries that it makes: each may have a body of 20 kB. A
# project has fewer endpoints than that, so at least one event is relayed.
BATCH = 500
MOST_DELIVERIES = 1000
_READER = "webhooks"

_SKIPPED = Counter(
    "taskbeacon_webhook_events_skipped_total", "Events that no webhook message could be made of."
)

log = structlog.get_logger(__name__)


async def relay_events(session: AsyncSession, *, link: str, batch: int, most: int = MOST_DELIVERIES) -> int:
    """Make at most `batch` of the next deliveries; return how many: 0 if there are none or another process relays."""
    cursor = await _lock_cursor(session)
    if cursor is None:
        return 0
    events = await _NEXT.all(session, {**cursor.values(), "batch": batch})
    if not events:
        return 0
    places = [Cursor(transaction_id, seq) for transaction_id, seq, _ in events]
    project_ids = {project_id for _, _, project_id in events}
    place = await _deliver(session, project_ids, cursor, places[-1], link=link, most=most)
    await session.execute(
        update(EventCursor)
        .where(EventCursor.reader == _READER)
        .values(transaction_id=place.transaction_id, seq=place.seq)
    )
    return sum(each <= place for each in places)


async def _deliver(
    session: AsyncSession, project_ids: Collection[int], after: Cursor, last: Cursor, *, link: str, most: int
) -> Cursor:
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
    ordered = wanted.order_by(*IN_ORDER, WebhookEndpoint.id).limit(most + 1)
    pairs = await rows_of(session, ordered, Pair, after.values())
    if len(pairs) > most:
        # Events are relayed whole: the last one, which may have further deliveries, waits for the next call.
        cut = pairs[-1].event.place
        pairs = [pair for pair in pairs if pair.event.place < cut]
        last = pairs[-1].event.place
    await make_deliveries(session, pairs, link=link)
    return last


async def _lock_cursor(session: AsyncSession) -> Cursor | None:
    # Not found while another process has locked it, or before the first relay.
    cursor = await _CURSOR.first(session)
    if cursor is not None:
        return cursor
    first = upsert(EventCursor).values(reader=_READER, transaction_id=START.transaction_id, seq=START.seq)
    made = await session.scalar(first.on_conflict_do_nothing().returning(EventCursor.reader))
    return START if made else None


# Runs at each wake, in every worker.
_NEXT = Prepared(
    select(*IN_ORDER, Event.project_id)
    .where(AFTER)
    .order_by(*IN_ORDER)
    .limit(bindparam("batch", type_=Integer))
)
_CURSOR = Prepared(
    select(EventCursor.transaction_id, EventCursor.seq)
    .where(EventCursor.reader == _READER)
    .with_for_update(skip_locked=True),
    Cursor,
)


class Pair(NamedTuple):
    event: EventRow
    endpoint_id: UUID
    payload: str


PAIR_COLUMNS = (*EVENT_COLUMNS, WebhookEndpoint.id.label("endpoint_id"), WebhookEndpoint.payload)


def select_wanted(*columns: Any) -> Select[Any]:
    """Return the SELECT for each event and endpoint that wants it, by type and filter, and whose creator sees it."""
    return (
        select(*columns)
        .select_from(Event)
        .outerjoin(Task, Task.id == Event.task_id)
        .join(
            WebhookEndpoint,
            and_(
                WebhookEndpoint.project_id == Event.project_id,
                SELECTORS.overlap(WebhookEndpoint.event_types),
                _is_visible(),
                _passes(),
            ),
        )
    )


async def lock_receivers(session: AsyncSession, condition: ColumnElement[bool]) -> Sequence[UUID]:
    """Return the enabled endpoints with active creators, locked so that none is disabled meanwhile."""
    statement = (
        select(WebhookEndpoint.id)
        .where(
            condition,
            WebhookEndpoint.enabled,
            active_member(WebhookEndpoint.created_by_id, WebhookEndpoint.project_id),
        )
        # All transactions lock endpoints in the order of their ids: no two deadlock.
        .order_by(WebhookEndpoint.id)
        .with_for_update(read=True, of=WebhookEndpoint)
    )
    return (await session.scalars(statement)).all()


def _is_visible() -> ColumnElement[bool]:
    creator = WebhookEndpoint.created_by_id
    return or_(and_(Event.task_id.is_(None), Event.user_id == creator), is_for_user(creator))


def _passes() -> ColumnElement[bool]:
    creator, repository, product = (
        WebhookEndpoint.task_filter[name].astext for name in ("created_by", "repository", "origin_product")
    )
    # Compared as texts, since `me` is not a number.
    creator_id = case((creator == "me", cast(WebhookEndpoint.created_by_id, Text)), else_=creator)
    return and_(
        or_(creator.is_(None), cast(Task.created_by_id, Text) == creator_id),
        or_(repository.is_(None), Task.repository == repository),
        or_(product.is_(None), Task.origin_product == product),
    )


async def make_deliveries(session: AsyncSession, pairs: Sequence[Pair], *, link: str) -> None:
    """Make a delivery for each event and endpoint that has none. What cannot be rendered is logged and skipped."""
    full = {pair.event.id for pair in pairs if pair.payload == PayloadKind.FULL}
    snapshots: dict[UUID, Any] = {}
    if full:
        found = select(EventSnapshot.event_id, EventSnapshot.snapshot).where(EventSnapshot.event_id.in_(full))
        snapshots = dict(await rows_of(session, found))
    bodies: dict[tuple[UUID, bool], str | None] = {}
    skipped: dict[UUID, tuple[str, str]] = {}
    now = utcnow()
    rows = []
    for event, endpoint_id, payload in pairs:
        is_full = payload == PayloadKind.FULL
        key = (event.id, is_full)
        if key not in bodies:
            # Nothing here waits for the database, so no outage is taken for a defect of the event.
            try:
                data = event_data(event, link)
                bodies[key] = event_body(
                    event.type, event.occurred_at, data, snapshots.get(event.id), full=is_full
                )
            except Exception as error:  # noqa: BLE001 - logged below, without its text, which may quote the event
                bodies[key] = None
                skipped[event.id] = (event.type, type(error).__name__)
        if bodies[key] is None:
            continue
        rows.append(
            {
                "id": new_id(),
                "endpoint_id": endpoint_id,
                "event_id": event.id,
                "event_type": event.type,
                "event_at": event.occurred_at,
                "task_id": event.task_id,
                "run_id": event.run_id,
                "body": bodies[key],
                "status": DeliveryStatus.PENDING,
                "attempts": 0,
                "attempts_allowed": WEBHOOK_ATTEMPTS,
                "due_at": now,
                "created_at": now,
            }
        )
    if rows:
        await session.execute(upsert(WebhookEndpointDelivery).on_conflict_do_nothing(), rows)
    after_commit(session, partial(_count_skipped, skipped))


def _count_skipped(skipped: Mapping[UUID, tuple[str, str]]) -> None:
    for event_id, (event_type, error_class) in skipped.items():
        log.error("webhook.event_skipped", event_id=str(event_id), event_type=event_type, error=error_class)
        _SKIPPED.inc()
