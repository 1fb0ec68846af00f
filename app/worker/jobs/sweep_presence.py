"""Cron: keep the tables of presence and of notifications small."""

from collections.abc import Mapping
from typing import Any

import structlog

from app.db import unit_of_work
from app.services.notifications.presence import sweep_expired
from app.services.notifications.receipts import sweep_history
from app.worker.context import worker_context

__all__ = ["sweep_presence"]

log = structlog.get_logger(__name__)


async def sweep_presence(ctx: Mapping[str, Any]) -> None:
    """Sweep both once."""
    sessions = worker_context(ctx).process.sessions
    async with unit_of_work(sessions) as session:
        expired = await sweep_expired(session)
    async with unit_of_work(sessions) as session:
        old = await sweep_history(session)
    if expired or old:
        log.info("push.swept", presence=expired, notifications=old)
