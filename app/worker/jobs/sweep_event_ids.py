"""Cron: forget the event ids of runs that ended long ago."""

from collections.abc import Mapping
from typing import Any

import structlog

from app.db import unit_of_work
from app.services.output import event_ids as run_event_ids
from app.worker.context import worker_context

__all__ = ["sweep_event_ids"]

log = structlog.get_logger(__name__)


async def sweep_event_ids(ctx: Mapping[str, Any]) -> None:
    """Sweep once."""
    async with unit_of_work(worker_context(ctx).process.sessions) as session:
        count = await run_event_ids.sweep_event_ids(session)
    if count:
        log.info("run_event_ids.swept", count=count)
