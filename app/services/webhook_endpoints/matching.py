"""Decide which webhook endpoint gets which event: by what its creator sees, and by what it selects."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import DeliveryStatus, PayloadKind
from app.ids import new_id
from app.models import Event, EventSnapshot, Task, WebhookEndpoint
from app.services.access.visibility import active_member, is_audience_of
from app.services.events.reading import EVENT_COLUMNS
from app.services.events.rendering import event_body, event_data
from app.services.retrying.policies import WEBHOOK_ATTEMPTS

# A row by its columns.
Columns = Mapping[Any, Any]

# The columns of an event that `wants` and `deliveries_of` read.
MATCHED_COLUMNS = (
    *EVENT_COLUMNS,
    Event.user_id,
    Task.audience,
    Task.created_by_id,
    Task.repository,
    Task.origin_product,
)


def select_matched() -> Any:  # Any: a Select of many columns
    """Return the SELECT of events with `MATCHED_COLUMNS`, which `wants` and `deliveries_of` read.

    The caller adds a condition and an order.
    """
    return select(*MATCHED_COLUMNS).outerjoin(Task, Task.id == Event.task_id)


def select_receivers(project_ids: Collection[int]) -> Any:  # Any: a Select of many columns
    """Return the SELECT of the enabled webhook endpoints in these projects that active members of the project created.

    The SELECT takes a shared row lock on each endpoint until the transaction ends, so that none is disabled before its
    deliveries are stored.
    """
    return (
        select(
            WebhookEndpoint.id,
            WebhookEndpoint.project_id,
            WebhookEndpoint.created_by_id,
            WebhookEndpoint.event_types,
            WebhookEndpoint.payload,
            WebhookEndpoint.task_filter,
            WebhookEndpoint.created_at,
        )
        .where(
            WebhookEndpoint.project_id.in_(project_ids),
            WebhookEndpoint.enabled,
            active_member(WebhookEndpoint.created_by_id, WebhookEndpoint.project_id),
        )
        # The same order everywhere, to avoid deadlocks.
        .order_by(WebhookEndpoint.id)
        .with_for_update(read=True, of=WebhookEndpoint)
    )


def wants(endpoint: Columns, event: Columns) -> bool:
    """Return whether a webhook endpoint is to receive an event.

    The event must be of the endpoint's project, have a selected type, be visible to the endpoint's creator, and pass
    the endpoint's task filter. `endpoint` has the columns of `select_receivers`, `event` those of `select_matched`.
    """
    return (
        endpoint["project_id"] == event["project_id"]
        and _is_selected(endpoint["event_types"], event["type"])
        and _is_visible(endpoint["created_by_id"], event)
        and _passes(endpoint["task_filter"], endpoint["created_by_id"], event)
    )


def _is_selected(selectors: Collection[str], type_: str) -> bool:
    return not {type_, f"{type_.partition('.')[0]}.*", "*"}.isdisjoint(selectors)


def _is_visible(user_id: int, event: Columns) -> bool:
    if event["task_id"] is None:
        return bool(event["user_id"] == user_id)
    return is_audience_of(event["audience"], user_id)


def _passes(task_filter: dict[str, Any] | None, user_id: int, event: Columns) -> bool:
    if not task_filter:
        return True
    values = dict(task_filter)
    creator = values.pop("created_by", None)
    if creator is not None and event["created_by_id"] != (user_id if creator == "me" else creator):
        return False
    return all(event[name] == value for name, value in values.items())


async def deliveries_of(
    session: AsyncSession, pairs: Sequence[tuple[Columns, Columns]], *, link: str
) -> list[dict[str, Any]]:
    """Return the column values of a new pending webhook delivery, with its message body, for each endpoint and event.

    Stores nothing.

    Args:
        session: reads the snapshots of the events, for endpoints with full bodies.
        pairs: each a webhook endpoint with the columns of `select_receivers`, and an event with `MATCHED_COLUMNS`.
        link: the setting `task_url`, a template for links to tasks.

    """
    full = {event["id"] for endpoint, event in pairs if endpoint["payload"] == PayloadKind.FULL}
    snapshots: dict[Any, Any] = {}
    if full:
        found = select(EventSnapshot.event_id, EventSnapshot.snapshot).where(EventSnapshot.event_id.in_(full))
        snapshots = {row.event_id: row.snapshot for row in await session.execute(found)}
    bodies: dict[Any, str] = {}
    now = utcnow()
    rows = []
    for endpoint, event in pairs:
        is_full = endpoint["payload"] == PayloadKind.FULL
        key = (event["id"], is_full)
        if key not in bodies:
            data = event_data(event, link)
            bodies[key] = event_body(
                event["type"], event["occurred_at"], data, snapshots.get(event["id"]), full=is_full
            )
        rows.append(
            {
                "id": new_id(),
                "endpoint_id": endpoint["id"],
                "event_id": event["id"],
                "event_type": event["type"],
                "event_at": event["occurred_at"],
                "task_id": event["task_id"],
                "run_id": event["run_id"],
                "body": bodies[key],
                "status": DeliveryStatus.PENDING,
                "attempts": 0,
                "attempts_allowed": WEBHOOK_ATTEMPTS,
                "due_at": now,
                "created_at": now,
            }
        )
    return rows
