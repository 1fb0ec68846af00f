"""Store the GitHub token that came with a run, encrypted, until the run is over (contract 5.8)."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db.sweeping import delete_batch
from app.models import RunCredential
from app.security.secrets import Cipher

# A run that has not been performed within this time needs a new token anyway.
_KEPT = timedelta(hours=24)


async def keep_token(session: AsyncSession, cipher: Cipher, run_id: UUID, token: str) -> None:
    session.add(RunCredential(run_id=run_id, encrypted_token=cipher.encrypt(token), created_at=utcnow()))
    await session.flush()


async def forget_tokens(session: AsyncSession, run_ids: Sequence[UUID]) -> None:
    await session.execute(delete(RunCredential).where(RunCredential.run_id.in_(run_ids)))


async def sweep_tokens(session: AsyncSession) -> int:
    """Delete a batch of GitHub tokens that were stored a day ago or earlier; return their number."""
    return await delete_batch(session, RunCredential, RunCredential.created_at <= utcnow() - _KEPT)
