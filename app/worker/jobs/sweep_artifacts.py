"""The chore that removes files that no client can reach any more. Several workers may do it at once."""

from collections.abc import Mapping

import structlog

from app.clients.storage.object_store_errors import ObjectStoreUnavailable
from app.services.artifacts import artifact_sweep
from app.worker.worker_context import worker_context

log = structlog.get_logger(__name__)


async def sweep_artifacts(ctx: Mapping[str, object]) -> None:
    process = worker_context(ctx).process
    await artifact_sweep.write_lifecycle(process.store)
    try:
        await artifact_sweep.sweep_artifacts(process.sessions, process.store)
    except ObjectStoreUnavailable as error:
        log.warning("artifacts.not_swept", error=repr(error))
