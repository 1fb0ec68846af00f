"""Read new events of the ledger for many users at once, with what decides which user may see which event."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, bindparam, case, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Event, Task
from app.models.base import literal_int
from app.services.access.visibility import EVENT_AUDIENCE, Memberships, find_memberships, sees_task
from app.services.events.cursor import AFTER, IN_ORDER, Cursor
from app.services.events.reading import EVENT_COLUMNS, OF_QUESTIONS, concerns
from app.services.events.rendering import EventRow
from app.statements import Prepared

# The most events of one reading.
PAGE = 500


class NewEvent(NamedTuple):
    """A new event, with what decides who may see it."""

    event: EventRow
    audience: int | None
    # Of a question's event: the users who have it in their inbox.
    inboxes: list[int] | None


class NewEvents(NamedTuple):
    """New events of the ledger, oldest first, and the memberships that decide which users may see them."""

    rows: Sequence[NewEvent]
    memberships: Memberships


async def read_new_events(session: AsyncSession, after: Cursor, user_ids: Collection[int]) -> NewEvents:
    """Return up to `PAGE` events of all projects after the position `after`, oldest first.

    The result contains current memberships and inboxes of the users `user_ids` only: it does not say whether any other
    user may see an event.
    """
    rows = await _NEW.all(session, {"user_ids": [*user_ids], **after.values()})
    if not rows:
        return NewEvents((), {})
    # After the events: a user who has left meanwhile sees none.
    memberships = await find_memberships(session, user_ids, {row.event.project_id for row in rows})
    return NewEvents(rows, memberships)


def _new_statement() -> Any:  # Any: a Select of many columns
    user_id = func.unnest(bindparam("user_ids", type_=ARRAY(BigInteger))).column_valued("person")
    having = select(user_id).where(sees_task(Event.project_id, user_id), concerns(user_id))
    inboxes = func.array(having.correlate(Event, Task).scalar_subquery(), type_=ARRAY(BigInteger))
    return (
        select(
            *EVENT_COLUMNS, EVENT_AUDIENCE.label("audience"), case((OF_QUESTIONS, inboxes)).label("inboxes")
        )
        .outerjoin(Task, Task.id == Event.task_id)
        .where(AFTER)
        .order_by(*IN_ORDER)
        .limit(literal_int(PAGE))
    )


_NEW = Prepared(_new_statement(), NewEvent)
