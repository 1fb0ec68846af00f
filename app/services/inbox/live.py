"""Follow an inbox live: the events of its questions, over all projects of the caller (contract 15)."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.services.access.principal import Principal
from app.services.events.reading import is_any_truncated, read_question_events
from app.services.run_log.project_stream import FollowedLedger, FollowedProject, follow_ledger

_TOPIC = "inbox"


async def open_inbox_stream(session: AsyncSession, caller: Principal, last_id: str | None) -> FollowedProject:
    """Return the ledger to follow for an inbox; each read checks again which events the caller can see."""
    ledger = FollowedLedger(
        _TOPIC,
        lambda session, after, limit: read_question_events(session, caller, after, limit=limit),
        lambda session, after: is_any_truncated(session, caller, after),
    )
    return await follow_ledger(session, ledger, last_id)
