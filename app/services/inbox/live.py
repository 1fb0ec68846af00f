"""Follow an inbox live: the events of its questions, over all projects of the caller (contract 15)."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.services.access.principal import Principal
from app.services.run_log.project_stream import FollowedProject, follow_ledger, inbox_ledger


async def open_inbox_stream(session: AsyncSession, caller: Principal, last_id: str | None) -> FollowedProject:
    """Return the ledger to follow for an inbox; each read checks again which events the caller can see."""
    return await follow_ledger(session, inbox_ledger(caller), last_id)
