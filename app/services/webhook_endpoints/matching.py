"""Decide which webhook endpoints receive which events: by what their creators see, and by what they select."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Text, and_, case, cast, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import DeliveryStatus, PayloadKind
from app.ids import new_id
from app.models import Event, EventSnapshot, Task, WebhookEndpoint
from app.services.access.visibility import active_member, is_for_user
from app.services.events.reading import EVENT_COLUMNS, SELECTORS
from app.services.events.rendering import EventRow, event_body, event_data
from app.services.retrying.policies import WEBHOOK_ATTEMPTS


class Pair(NamedTuple):
    """An event and a webhook endpoint that is to receive it."""

    event: EventRow
    endpoint_id: UUID
    payload: str


# The columns of a `Pair`.
PAIR_COLUMNS = (*EVENT_COLUMNS, WebhookEndpoint.id.label("endpoint_id"), WebhookEndpoint.payload)


def select_wanted(*columns: Any) -> Any:  # Any: a Select of many columns
    """Return the SELECT of these columns for each pair of an event and a webhook endpoint that is to receive the event.

    The event must belong to the endpoint's project, have a selected type, be visible to the endpoint's creator, and
    pass the endpoint's task filter. The caller adds conditions and an order.
    """
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
    """Return the ids of the webhook endpoints that meet `condition`, are enabled, and have an active member as creator.

    It takes a shared row lock on each endpoint until the transaction ends, so that none is disabled before its
    deliveries are stored.
    """
    statement = (
        select(WebhookEndpoint.id)
        .where(
            condition,
            WebhookEndpoint.enabled,
            active_member(WebhookEndpoint.created_by_id, WebhookEndpoint.project_id),
        )
        # The same order everywhere, to avoid deadlocks.
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


async def deliveries_of(session: AsyncSession, pairs: Sequence[Pair], *, link: str) -> list[dict[str, Any]]:
    """Return the column values of a new pending webhook delivery for each pair of an event and an endpoint.

    The values include the message body. Nothing is stored. `link` is the setting `task_url`, a template for links to
    tasks.
    """
    full = {pair.event.id for pair in pairs if pair.payload == PayloadKind.FULL}
    snapshots: dict[Any, Any] = {}
    if full:
        found = select(EventSnapshot.event_id, EventSnapshot.snapshot).where(EventSnapshot.event_id.in_(full))
        snapshots = {row.event_id: row.snapshot for row in await session.execute(found)}
    bodies: dict[Any, str] = {}
    now = utcnow()
    rows = []
    for event, endpoint_id, payload in pairs:
        is_full = payload == PayloadKind.FULL
        key = (event.id, is_full)
        if key not in bodies:
            data = event_data(event, link)
            bodies[key] = event_body(
                event.type, event.occurred_at, data, snapshots.get(event.id), full=is_full
            )
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
    return rows
