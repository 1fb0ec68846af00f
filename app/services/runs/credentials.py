"""The token that a request brings for its run: kept encrypted until the run is over, then forgotten (contract 5.8).

It is a row of its own, so that nothing that reads or shows runs can show it.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.models import RunCredential
from app.security import Cipher

# A key of a run's state and its values: the token that came with the run, or the account that its person has linked.
CREDENTIAL_SOURCE: Final = "github_credential_source"
CALLER_TOKEN: Final = "caller_token"  # noqa: S105 - no token, the name of a kind
LINKED_ACCOUNT: Final = "server_integration"

# A run that was not performed by then needs a new token anyway.
_KEPT = timedelta(hours=24)


async def keep_token(session: AsyncSession, cipher: Cipher, run_id: UUID, token: str) -> None:
    """Keep the token of a run that is being created."""
    session.add(RunCredential(run_id=run_id, encrypted_token=cipher.encrypt(token), created_at=utcnow()))
    await session.flush()


async def forget_tokens(session: AsyncSession, run_ids: Sequence[UUID]) -> None:
    """Forget the tokens of runs that are over."""
    await session.execute(delete(RunCredential).where(RunCredential.run_id.in_(run_ids)))


async def sweep_tokens(session: AsyncSession) -> int:
    """Forget tokens that were never used; return how many."""
    forgotten = await session.execute(
        delete(RunCredential)
        .where(RunCredential.created_at <= utcnow() - _KEPT)
        .returning(RunCredential.run_id)
    )
    return len(forgotten.all())
