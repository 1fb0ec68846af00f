"""The events of the ledger that a live stream follows: those of a project's tasks, those of an inbox, or both."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.services.access.principal import Principal
from app.services.access.visibility import is_audience_of
from app.services.events.cursor import Cursor
from app.services.events.reading import is_any_truncated, is_truncated, read_events, read_question_events
from app.services.events.rendering import EventRow
from app.services.streams.frames import LedgerEvent
from app.services.streams.ledger_feed import Batch

TASKS = "tasks"
INBOX = "inbox"


@dataclass(frozen=True, slots=True)
class FollowedLedger:
    """The events of the ledger that one live stream shows to its user, as three functions. Nothing is read in advance.

    `read` reads up to a given number of these events after a position. `choose` selects them from a batch that all live
    streams share. `is_truncated` returns whether events after a position were removed, so that the client missed them.
    """

    topics: Sequence[str]
    user_id: int
    read: Callable[[AsyncSession, Cursor, int], Awaitable[Sequence[EventRow]]]
    is_truncated: Callable[[AsyncSession, Cursor], Awaitable[bool]]
    choose: Callable[[Batch], Sequence[LedgerEvent]]


def _tasks_ledger(caller: Principal) -> FollowedLedger:
    project_id, user_id = caller.project.id, caller.user_id

    def choose(batch: Batch) -> Sequence[LedgerEvent]:
        if (user_id, project_id) not in batch.memberships:
            return ()
        return [
            event
            for event in batch.events
            if event.row.project_id == project_id and is_audience_of(event.audience, user_id)
        ]

    return FollowedLedger(
        (TASKS,),
        user_id,
        lambda session, after, limit: read_events(session, caller, after, limit=limit),
        lambda session, after: is_truncated(session, caller, after),
        choose,
    )


def _inbox_ledger(caller: Principal) -> FollowedLedger:
    user_id = caller.user_id

    def is_usable(project_id: int, batch: Batch) -> bool:
        organization_id = batch.memberships.get((user_id, project_id))
        return organization_id is not None and caller.covers(project_id, organization_id)

    def choose(batch: Batch) -> Sequence[LedgerEvent]:
        return [
            event
            for event in batch.events
            if event.inboxes and user_id in event.inboxes and is_usable(event.row.project_id, batch)
        ]

    return FollowedLedger(
        (INBOX,),
        user_id,
        lambda session, after, limit: read_question_events(session, caller, after, limit=limit),
        lambda session, after: is_any_truncated(session, caller, after),
        choose,
    )


LEDGERS = {TASKS: _tasks_ledger, INBOX: _inbox_ledger}


def ledger_of(caller: Principal, topics: Sequence[str]) -> FollowedLedger:
    """Return the functions that read and select the events of one or more topics for a caller. Nothing is read yet."""
    parts = [LEDGERS[topic](caller) for topic in topics]
    if len(parts) == 1:
        return parts[0]

    async def read(session: AsyncSession, after: Cursor, limit: int) -> Sequence[EventRow]:
        events = {row.id: row for part in parts for row in await part.read(session, after, limit)}
        return sorted(events.values(), key=lambda row: row.place)[:limit]

    async def is_any_part_truncated(session: AsyncSession, after: Cursor) -> bool:
        return any([await part.is_truncated(session, after) for part in parts])

    def choose(batch: Batch) -> Sequence[LedgerEvent]:
        chosen = {event for part in parts for event in part.choose(batch)}
        return [event for event in batch.events if event in chosen]

    return FollowedLedger(topics, caller.user_id, read, is_any_part_truncated, choose)
