"""Store the response to a request with an `Idempotency-Key`, and answer repetitions of the request with it.

The key is stored in the transaction that performs the request: both take effect or neither. Of two concurrent requests
with the same key, the second waits until the first has ended.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db.statements import row_of
from app.db.sweeping import delete_batch
from app.errors import IdempotencyConflict
from app.models import IdempotencyKey
from app.services.access.principal import Principal

LIFETIME = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """The stored response to the first request with an idempotency key."""

    status: int
    body: bytes


async def claim_key(
    session: AsyncSession, caller: Principal, key: str, *, request_hash: str
) -> StoredResponse | None:
    """Claim an idempotency key for the caller's request. If a request with the same key is running, wait until it ends.

    Return None if the key is free: the caller then performs the request and calls `store_response` before the commit.
    If an earlier request of the last day has used the key, return the stored response to it.
    """
    now = utcnow()
    fresh = {"request_hash": request_hash, "status": 0, "body": b"", "created_at": now}
    claimed = await session.scalar(
        upsert(IdempotencyKey)
        .values(project_id=caller.project.id, user_id=caller.user_id, key=key, **fresh)
        .on_conflict_do_update(
            index_elements=[IdempotencyKey.project_id, IdempotencyKey.user_id, IdempotencyKey.key],
            set_=fresh,
            where=IdempotencyKey.created_at <= now - LIFETIME,
        )
        .returning(IdempotencyKey.key)
    )
    if claimed is not None:
        return None
    # There is such a row, which the statement above has locked, so no sweep deletes it.
    kept = await find_response(session, caller, key, request_hash=request_hash, now=now)
    assert kept is not None
    return kept


async def find_response(
    session: AsyncSession, caller: Principal, key: str, *, request_hash: str, now: datetime | None = None
) -> StoredResponse | None:
    """Return the stored response to the last day's request with this idempotency key; None if there is none."""
    statement = select(IdempotencyKey.request_hash, IdempotencyKey.status, IdempotencyKey.body)
    fresh = IdempotencyKey.created_at > (now or utcnow()) - LIFETIME
    kept = await row_of(session, statement.where(*_is(caller, key), fresh))
    if kept is None:
        return None
    kept_hash, status, body = kept
    if kept_hash != request_hash:
        raise IdempotencyConflict
    return StoredResponse(status, body)


async def store_response(
    session: AsyncSession, caller: Principal, key: str, response: StoredResponse
) -> None:
    await session.execute(
        update(IdempotencyKey).where(*_is(caller, key)).values(status=response.status, body=response.body)
    )


def _is(caller: Principal, key: str) -> tuple[ColumnElement[bool], ...]:
    return (
        IdempotencyKey.project_id == caller.project.id,
        IdempotencyKey.user_id == caller.user_id,
        IdempotencyKey.key == key,
    )


async def sweep_keys(session: AsyncSession) -> int:
    """Delete a batch of idempotency keys that are a day old, with their responses; return their number."""
    stored_at = IdempotencyKey.created_at
    return await delete_batch(session, IdempotencyKey, stored_at <= utcnow() - LIFETIME, oldest=stored_at)
