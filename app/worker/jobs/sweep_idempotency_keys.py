"""Cron: forget the answers that nobody may ask for again."""

from collections.abc import Mapping
from typing import Any

import structlog

from app.db import unit_of_work
from app.services.idempotency import sweep_keys
from app.worker.context import worker_context

__all__ = ["sweep_idempotency_keys"]

log = structlog.get_logger(__name__)


async def sweep_idempotency_keys(ctx: Mapping[str, Any]) -> None:
    """Sweep once."""
    async with unit_of_work(worker_context(ctx).process.sessions) as session:
        count = await sweep_keys(session)
    if count:
        log.info("idempotency.swept", count=count)
