"""Job that deletes expired files of runs, and keeps the expiry rules of the bucket up to date."""

from collections.abc import Mapping
from typing import Any

import structlog

from app.clients.object_store import ObjectStoreUnavailable
from app.services.artifacts import sweep
from app.worker.context import worker_context

log = structlog.get_logger(__name__)


async def sweep_artifacts(ctx: Mapping[str, Any]) -> None:
    process = worker_context(ctx).process
    await sweep.write_lifecycle(process.store)
    try:
        await sweep.sweep_artifacts(process.sessions, process.store, dry_run=False)
    except ObjectStoreUnavailable as error:
        log.warning("artifacts.not_swept", error=repr(error))
