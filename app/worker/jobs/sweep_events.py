"""Job that keeps the ledger and webhooks in order: deletes old events and deliveries, disables orphaned endpoints."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from app.db import unit_of_work
from app.periodic import attempt
from app.services.events.sweep import adopt_events, prune_events
from app.services.webhook_endpoints.deliveries import prune_deliveries
from app.services.webhook_endpoints.disabling import disable_orphaned
from app.worker.context import worker_context

log = structlog.get_logger(__name__)


async def sweep_events(ctx: Mapping[str, Any]) -> None:
    """Job: delete old events and deliveries, and disable webhook endpoints of users who have left.

    If the database was restored from a backup, its events first move to a position before all new ones.
    """
    process = worker_context(ctx).process
    kept = timedelta(days=process.settings.event_retention_days)

    async def disable() -> int:
        async with unit_of_work(process.sessions) as session:
            return await disable_orphaned(session)

    steps: dict[str, Callable[[], Awaitable[int]]] = {
        "adopted": partial(adopt_events, process.sessions),
        "events": partial(prune_events, process.sessions, kept),
        "deliveries": partial(prune_deliveries, process.sessions, kept),
        "endpoints": disable,
    }
    for name, step in steps.items():
        await attempt(partial(_perform, name, step), event="events.not_swept")


async def _perform(name: str, step: Callable[[], Awaitable[int]]) -> None:
    if count := await step():
        log.info("events.swept", **{name: count})
