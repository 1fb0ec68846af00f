"""The sweeps, chores that delete what has expired from the object store and the tables, also several at once."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.s3 import ObjectStoreUnavailable
from app.periodic import attempt
from app.services.accounts.console_sessions import sweep_sessions
from app.services.accounts.terminal_logins import sweep_logins
from app.services.artifacts import artifact_sweep
from app.services.checks.kept_bases import sweep_bases
from app.services.code_hosts.github_webhook import sweep_deliveries
from app.services.events.event_sweep import adopt_events, prune_events
from app.services.idempotency import sweep_keys
from app.services.notifications import receipts
from app.services.notifications.presence import sweep_expired
from app.services.run_log.log_writing import sweep_event_ids
from app.services.runs.run_credentials import sweep_tokens
from app.services.sweeping import until_none_is_left
from app.services.webhook_endpoints.deliveries import prune_deliveries
from app.services.webhook_endpoints.disabling import disable_orphaned
from app.worker.worker_context import worker_context

_Sweep = Callable[[AsyncSession], Awaitable[int]]

log = structlog.get_logger(__name__)


async def sweep_artifacts(ctx: Mapping[str, Any]) -> None:
    process = worker_context(ctx).process
    await artifact_sweep.write_lifecycle(process.store)
    try:
        await artifact_sweep.sweep_artifacts(process.sessions, process.store)
    except ObjectStoreUnavailable as error:
        log.warning("artifacts.not_swept", error=repr(error))


async def sweep_events(ctx: Mapping[str, Any]) -> None:
    """Delete old events and deliveries, adopt restored ones, and disable webhook endpoints of users who have left."""
    process = worker_context(ctx).process
    kept = timedelta(days=process.settings.event_retention_days)
    await _sweep(
        adopted=partial(adopt_events, process.sessions),
        events=partial(prune_events, process.sessions, kept),
        deliveries=partial(prune_deliveries, process.sessions, kept),
        endpoints=partial(until_none_is_left, process.sessions, disable_orphaned),
    )


async def sweep_presence_and_notifications(ctx: Mapping[str, Any]) -> None:
    """Delete old notifications, and the expired rows of presence, which say which task a device shows."""
    await _sweep_tables(ctx, presence=sweep_expired, notifications=receipts.sweep_history)


async def sweep_keys_and_ids(ctx: Mapping[str, Any]) -> None:
    """Delete unused tokens of runs, expired keys and sessions, old ids of events and webhooks, and kept bases."""
    await _sweep_tables(
        ctx,
        run_credentials=sweep_tokens,
        github_deliveries=sweep_deliveries,
        run_event_ids=sweep_event_ids,
        idempotency_keys=sweep_keys,
        console_sessions=sweep_sessions,
        terminal_logins=sweep_logins,
        kept_bases=partial(sweep_bases, days=worker_context(ctx).process.settings.check_base_days),
    )


async def _sweep_tables(ctx: Mapping[str, Any], **tables: _Sweep) -> None:
    sessions = worker_context(ctx).process.sessions
    await _sweep(**{table: partial(until_none_is_left, sessions, sweep) for table, sweep in tables.items()})


async def _sweep(**steps: Callable[[], Awaitable[int]]) -> None:
    for rows, step in steps.items():
        await attempt(partial(_perform, rows, step), event="rows.not_swept")


async def _perform(rows: str, step: Callable[[], Awaitable[int]]) -> None:
    if count := await step():
        log.info("rows.swept", rows=rows, count=count)
