"""Cron: forget what code hosts need no more: tokens of runs that nobody performed, and deliveries of webhooks."""

from collections.abc import Mapping
from typing import Any

import structlog

from app.db import unit_of_work
from app.services.code_hosts.webhooks import sweep_deliveries
from app.services.runs.credentials import sweep_tokens
from app.worker.context import worker_context

__all__ = ["sweep_code_hosts"]

log = structlog.get_logger(__name__)


async def sweep_code_hosts(ctx: Mapping[str, Any]) -> None:
    """Sweep once."""
    async with unit_of_work(worker_context(ctx).process.sessions) as session:
        forgotten = await sweep_tokens(session)
        deliveries = await sweep_deliveries(session)
    if forgotten or deliveries:
        log.info("code_hosts.swept", credentials=forgotten, deliveries=deliveries)
