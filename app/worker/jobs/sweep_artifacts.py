"""Cron: the bucket's own rules, then the files that have reached the end of their life."""

from collections.abc import Mapping
from typing import Any

import structlog

from app.clients.object_store import ObjectStoreUnavailable
from app.services.artifacts.sweep import sweep_artifacts as sweep
from app.services.artifacts.sweep import write_lifecycle
from app.worker.context import worker_context

__all__ = ["sweep_artifacts"]

log = structlog.get_logger(__name__)


async def sweep_artifacts(ctx: Mapping[str, Any]) -> None:
    """Sweep once; an outage of the store puts it off to the next time."""
    process = worker_context(ctx).process
    await write_lifecycle(process.store)
    try:
        await sweep(process.sessions, process.store, dry_run=False)
    except ObjectStoreUnavailable as error:
        log.warning("artifacts.not_swept", error=repr(error))
