"""Cron: recover runs, delete what has expired, and keep counts short. Any number of copies may run."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.object_store import ObjectStoreUnavailable
from app.db import unit_of_work
from app.services.artifacts import sweep
from app.services.code_hosts.webhooks import sweep_deliveries
from app.services.events.sweep import adopt_events, prune_events
from app.services.idempotency import sweep_keys
from app.services.notifications.presence import sweep_expired
from app.services.notifications.receipts import sweep_history
from app.services.output.event_ids import sweep_event_ids
from app.services.runs import recovery
from app.services.runs.credentials import sweep_tokens
from app.services.tasks.counts import FOLDED_AT_ONCE, fold_counts
from app.services.webhook_endpoints.disabling import disable_orphaned
from app.services.webhook_endpoints.sweep import prune_deliveries
from app.worker.context import worker_context

_Sweep = Callable[[AsyncSession], Awaitable[int]]
_PUSH: Final[Mapping[str, _Sweep]] = {"presence": sweep_expired, "notifications": sweep_history}
_KEYS: Final[Mapping[str, _Sweep]] = {
    "run_credentials": sweep_tokens,
    "github_deliveries": sweep_deliveries,
    "run_event_ids": sweep_event_ids,
    "idempotency_keys": sweep_keys,
}

log = structlog.get_logger(__name__)


async def recover_runs(ctx: Mapping[str, Any]) -> None:
    """Queue runs again that lost their job, and decide on those that lost their worker."""
    process = worker_context(ctx).process
    limit, silence = process.settings.project_concurrency, process.settings.outside_agent_silence
    await recovery.recover_runs(process, limit=limit, silence=silence)


async def sweep_artifacts(ctx: Mapping[str, Any]) -> None:
    """Write the bucket's own rules, and delete expired files; an outage of the store postpones it to the next time."""
    process = worker_context(ctx).process
    await sweep.write_lifecycle(process.store)
    try:
        await sweep.sweep_artifacts(process.sessions, process.store, dry_run=False)
    except ObjectStoreUnavailable as error:
        log.warning("artifacts.not_swept", error=repr(error))


async def sweep_push_history(ctx: Mapping[str, Any]) -> None:
    """Delete presence that expired and old notifications."""
    await _sweep_rows(ctx, _PUSH)


async def sweep_expired_keys(ctx: Mapping[str, Any]) -> None:
    """Delete tokens of runs that were never performed, and ids and keys that will not come again."""
    await _sweep_rows(ctx, _KEYS)


async def sweep_events(ctx: Mapping[str, Any]) -> None:
    """Adopt restored events, delete old ones and old deliveries, and disable the endpoints of people who are gone."""
    process = worker_context(ctx).process
    kept = timedelta(days=process.settings.event_retention_days)
    await adopt_events(process.sessions)
    events = await prune_events(process.sessions, kept)
    deliveries = await prune_deliveries(process.sessions, kept)
    async with unit_of_work(process.sessions) as session:
        orphaned = await disable_orphaned(session)
    if events or deliveries or orphaned:
        log.info("events.swept", events=events, deliveries=deliveries, endpoints=orphaned)


async def _sweep_rows(ctx: Mapping[str, Any], tables: Mapping[str, _Sweep]) -> None:
    for table, delete in tables.items():
        async with unit_of_work(worker_context(ctx).process.sessions) as session:
            count = await delete(session)
        if count:
            log.info("rows.swept", table=table, count=count)


async def fold_task_counts(ctx: Mapping[str, Any]) -> None:
    """Fold the counts written since the last time, a bounded number of rows in each transaction."""
    rows = FOLDED_AT_ONCE
    # Rows that are written meanwhile are left for the next time: there are always writers.
    while rows >= FOLDED_AT_ONCE:
        async with unit_of_work(worker_context(ctx).process.sessions) as session:
            rows = await fold_counts(session)
