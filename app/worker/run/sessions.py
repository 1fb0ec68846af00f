"""Conversations as agents keep them, stored from a run to the run that goes on from it (contract 9.2).

A convenience: whatever goes wrong here costs the agent its own memory, and it is told of the earlier runs instead.
"""

from functools import partial
from pathlib import Path
from uuid import UUID

import structlog

from app.agents.workspace.kept_session import MAX_PACKED_BYTES, KeptSession, unpack
from app.clients.object_store import KEPT_DAYS, ObjectMissing, ObjectStore, ObjectStoreUnavailable
from app.services.artifacts.rules import tags
from app.services.storage_keys import RunRef, session_key
from app.worker.run.store_retry import StorePatience

__all__ = ["fetch_session", "store_session"]

_CONTENT_TYPE = "application/gzip"

log = structlog.get_logger(__name__)


async def store_session(store: ObjectStore, file: Path, *, ref: RunRef, patience: StorePatience) -> None:
    """Store what a run has kept, if it has; an outage of the store that outlasts `patience` is logged."""
    if not file.exists():  # noqa: ASYNC240 - a local file
        return
    key = session_key(ref.project_id, ref.task_id, ref.run_id)
    put = partial(store.put, key, file, content_type=_CONTENT_TYPE, tags=tags(KEPT_DAYS, ref.project_id))
    try:
        await patience.call(put)
    except ObjectStoreUnavailable as error:
        log.warning("session.not_stored", error=repr(error))


async def fetch_session(
    store: ObjectStore, *, project_id: int, task_id: UUID, run_id: UUID
) -> KeptSession | None:
    """Return what a run has kept; None if that is nothing, nothing that can be read, or the store is away."""
    packed = b""
    try:
        async with store.open(session_key(project_id, task_id, run_id)) as content:
            async for chunk in content.chunks:
                packed += chunk
                if len(packed) > MAX_PACKED_BYTES:
                    return None
    except ObjectMissing:
        return None
    except ObjectStoreUnavailable as error:
        log.warning("session.not_fetched", error=repr(error))
        return None
    return unpack(packed)
