"""Read the events that a caller may see from the ledger, oldest first, starting after a given position."""

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    SQLColumnExpression,
    Text,
    Uuid,
    any_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, array
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.statements import Prepared, Statement
from app.enums import EventType
from app.errors import InvalidInput, unknown_choice
from app.models import Event, EventHorizon, Task, TaskFollow
from app.models.base import constant, literal_int
from app.schemas.events import EventPage, EventQuery
from app.services.access.principal import Principal
from app.services.access.visibility import (
    EVENT_AUDIENCE,
    VISIBLE_ANYWHERE,
    VISIBLE_PROJECTS,
    Memberships,
    active_member,
    audiences_of,
    find_memberships,
    sees_task,
    visibility_anywhere,
)
from app.services.events.cursor import AFTER, IN_ORDER, PLACE, PLACE_COLUMNS, SETTLED, START, Cursor
from app.services.events.event_types import VALID_SELECTORS
from app.services.events.rendering import EventRow, event_out

EVENT_COLUMNS = [getattr(Event, name) for name in EventRow._fields]
OF_QUESTIONS = Event.type.in_([constant(type_) for type_ in EventType if type_.startswith("question.")])
# The selectors that match an event: its type, its family, `*`.
SELECTORS = array(
    [
        cast(Event.type, Text),
        func.split_part(Event.type, literal_column("'.'"), literal_column("1")).op("||")(
            literal_column("'.*'")
        ),
        literal_column("'*'"),
    ]
)


class EventFilter(NamedTuple):
    """A filter of the events in the ledger. Its fields are combined with AND; a field that is None is ignored."""

    types: Sequence[str] | None = None
    task_id: UUID | None = None
    run_id: UUID | None = None


EVERYTHING = EventFilter()


async def list_events(
    session: AsyncSession, caller: Principal, query: EventQuery, *, limit: int, link: str
) -> EventPage:
    """Return a page of the events that the caller may see in the request's project, with those of deleted tasks.

    The page has the position after its last event, and whether events after `query.after` were removed because of their
    age. `link` is the setting `task_url`.
    """
    after = START if query.after is None else Cursor.parse(query.after)
    if after is None:
        raise InvalidInput("Enter a `next_after` of this list.", attr="after")
    types = parse_types(query.type)
    event_filter = EventFilter(types, query.task_id, query.run_id)
    rows = await read_events(session, caller, after, event_filter, limit=limit)
    return {
        "results": [event_out(row, link) for row in rows],
        "next_after": str(rows[-1].place if rows else after),
        # Read after the rows, so that events that were removed meanwhile are reported too.
        "truncated": await is_truncated(session, caller, after),
    }


async def read_events(
    session: AsyncSession,
    caller: Principal,
    after: Cursor,
    event_filter: EventFilter = EVERYTHING,
    *,
    limit: int,
) -> Sequence[EventRow]:
    """Return up to `limit` events of the request's project that match and that the caller sees, oldest first."""
    values: dict[str, object] = {"project_id": caller.project.id, "user_id": caller.user_id, "limit": limit}
    return await _PAGE.all(session, {**values, **event_filter._asdict(), **after.values()})


async def read_question_events(
    session: AsyncSession, caller: Principal, after: Cursor, *, limit: int
) -> Sequence[EventRow]:
    """Return up to `limit` events about questions in the inbox of all projects of the caller, oldest first."""
    values = {"limit": limit, **visibility_anywhere(caller), **after.values()}
    return await _QUESTIONS.all(session, values)


async def is_any_truncated(session: AsyncSession, caller: Principal, after: Cursor) -> bool:
    """Return whether an event after the position `after` was removed because of its age, in a project of the caller."""
    return (
        await _REMOVED_ANYWHERE.first(session, {**visibility_anywhere(caller), **after.values()}) is not None
    )


async def is_truncated(session: AsyncSession, caller: Principal, after: Cursor) -> bool:
    """Return whether an event of the project after `after` was removed. Call it after the events are read."""
    values = {"project_id": caller.project.id, **after.values()}
    return await _REMOVED.first(session, values) is not None


async def find_end(session: AsyncSession) -> Cursor:
    """Return the position in the ledger after all events that can be read now; the first position if there are none."""
    return await _END.first(session) or START


async def place_here(session: AsyncSession, cursor: Cursor) -> Cursor:
    """Return a client's position, valid here also if it comes from before a restore (`adopt_events`)."""
    return await _HERE.one(session, cursor.values())


def parse_types(text: str | None) -> list[str] | None:
    """Return the items of a comma list of types and families; None, which selects all, if there are none."""
    words = [word.strip() for word in (text or "").split(",") if word.strip()]
    for word in words:
        if word not in VALID_SELECTORS:
            raise unknown_choice(word, VALID_SELECTORS, attr="type")
    return words or None


def _page_statement() -> Statement:
    types = bindparam("types", type_=ARRAY(Text))
    task_id, run_id = (bindparam(name, type_=Uuid) for name in ("task_id", "run_id"))
    user_id, project_id = (bindparam(name, type_=BigInteger) for name in ("user_id", "project_id"))
    return (
        select(*EVENT_COLUMNS)
        .outerjoin(Task, Task.id == Event.task_id)
        .where(
            Event.project_id == project_id,
            AFTER,
            EVENT_AUDIENCE.in_(audiences_of(user_id)),
            # Checked at each reading, since a membership may end while a stream is open; once, not for each event.
            active_member(user_id, project_id),
            or_(types.is_(None), SELECTORS.overlap(types)),
            or_(task_id.is_(None), Event.task_id == task_id),
            or_(run_id.is_(None), Event.run_id == run_id),
        )
        .order_by(*IN_ORDER)
        .limit(bindparam("limit", type_=BigInteger))
    )


def concerns(user_id: SQLColumnExpression[int]) -> ColumnElement[bool]:
    """Return the SQL condition that a user created or follows the `Task`."""
    is_followed = (
        select(TaskFollow.task_id)
        .where(TaskFollow.task_id == Task.id, TaskFollow.user_id == user_id)
        .correlate_except(TaskFollow)
        .exists()
    )
    return or_(Task.created_by_id == user_id, is_followed)


def _questions_statement() -> Statement:
    user_id = bindparam("visible_user_id", type_=BigInteger)
    return (
        select(*EVENT_COLUMNS)
        .join(Task, Task.id == Event.task_id)
        .where(
            AFTER,
            OF_QUESTIONS,
            VISIBLE_ANYWHERE,
            # The account may be closed while a stream is open.
            active_member(user_id, Event.project_id),
            concerns(user_id),
        )
        .order_by(*IN_ORDER)
        .limit(bindparam("limit", type_=BigInteger))
    )


_QUESTIONS = Prepared(_questions_statement(), EventRow)
_PAGE = Prepared(_page_statement(), EventRow)
_ALL_REMOVED = select(EventHorizon.project_id).where(
    tuple_(EventHorizon.transaction_id, EventHorizon.seq) > PLACE
)
_REMOVED = Prepared(_ALL_REMOVED.where(EventHorizon.project_id == bindparam("project_id")))
_REMOVED_ANYWHERE = Prepared(
    _ALL_REMOVED.where(EventHorizon.project_id == any_(VISIBLE_PROJECTS)).limit(literal_column("1"))
)
_HERE = Prepared(
    select(
        *(column.label(name) for name, column in zip(("transaction_id", "seq"), PLACE_COLUMNS, strict=True))
    ),
    Cursor,
)
_END = Prepared(
    select(Event.transaction_id, Event.seq)
    .where(Event.transaction_id < SETTLED)
    .order_by(Event.transaction_id.desc(), Event.seq.desc())
    .limit(literal_column("1")),
    Cursor,
)


LIVE_PAGE = 500


class NewEvent(NamedTuple):
    event: EventRow
    audience: int | None
    # For an event of a question: the users who have it in their inbox.
    inboxes: list[int] | None


class NewEvents(NamedTuple):
    """New events of the ledger, oldest first, and the memberships that decide which users may see them."""

    rows: Sequence[NewEvent]
    memberships: Memberships


async def read_new_events(session: AsyncSession, after: Cursor, user_ids: Collection[int]) -> NewEvents:
    """Return up to `LIVE_PAGE` events after a position, with the memberships and inboxes of `user_ids` alone."""
    rows = await _NEW.all(session, {"user_ids": [*user_ids], **after.values()})
    if not rows:
        return NewEvents((), {})
    # Read after the events, so that a user who has left meanwhile sees none of them.
    memberships = await find_memberships(session, user_ids, {row.event.project_id for row in rows})
    return NewEvents(rows, memberships)


def _new_statement() -> Statement:
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
        .limit(literal_int(LIVE_PAGE))
    )


_NEW = Prepared(_new_statement(), NewEvent)
