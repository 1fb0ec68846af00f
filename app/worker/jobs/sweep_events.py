"""Cron: keep the ledger and the log of webhook deliveries short, and disable endpoints of those who are gone."""

from collections.abc import Mapping
from typing import Any

import structlog

from app.db import unit_of_work
from app.services.events.sweep import prune_events
from app.services.webhook_endpoints.disabling import disable_orphaned
from app.services.webhook_endpoints.sweep import prune_deliveries
from app.worker.context import worker_context

__all__ = ["sweep_events"]

log = structlog.get_logger(__name__)


async def sweep_events(ctx: Mapping[str, Any]) -> None:
    """Sweep once, in short transactions."""
    process = worker_context(ctx).process
    kept = process.settings.event_retention
    events = await prune_events(process.sessions, kept)
    deliveries = await prune_deliveries(process.sessions, kept)
    async with unit_of_work(process.sessions) as session:
        orphaned = await disable_orphaned(session)
    if events or deliveries or orphaned:
        log.info("events.swept", events=events, deliveries=deliveries, endpoints=orphaned)
