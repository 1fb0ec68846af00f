"""The chore that deletes rows after their time. Several workers may do it at once."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.coroutines.periodic import attempt
from app.db.sweeping import until_none_is_left
from app.services.accounts.console_sessions import sweep_sessions
from app.services.accounts.terminal_logins import sweep_logins
from app.services.code_hosts.github_webhook import sweep_deliveries
from app.services.events.event_sweep import adopt_events, prune_events
from app.services.idempotency import sweep_keys
from app.services.notifications.presence import sweep_expired, sweep_silent_viewers
from app.services.notifications.push_history import sweep_history
from app.services.notifications.rules.cooldowns import sweep_cooldowns
from app.services.run_log.log_writing import sweep_event_ids
from app.services.runs.command_delivery import sweep_commands
from app.services.runs.run_credentials import sweep_tokens
from app.services.runs.verification_attempts.kept_bases import sweep_bases
from app.services.webhook_endpoints.deliveries import prune_deliveries
from app.services.webhook_endpoints.disabling import disable_orphaned
from app.worker.worker_context import worker_context

# The time limit for one table, so that a large one does not delay the others; the next sweep continues it.
_LONGEST_SECONDS = 90

log = structlog.get_logger(__name__)


async def sweep_rows(ctx: Mapping[str, object]) -> None:
    """Sweep each table, also if that of another fails, and adopt the events of a restored database."""
    process = worker_context(ctx).process
    sessions, settings = process.sessions, process.settings
    aged = {
        "events": (prune_events, settings.event_retention_days),
        # Kept as long as events: a recovery sends each event that has no delivery.
        "webhook_endpoint_deliveries": (prune_deliveries, settings.event_retention_days),
        "notifications": (sweep_history, settings.push_retention_days),
        "run_commands": (sweep_commands, settings.command_retention_days),
    }
    batches: dict[str, Callable[[AsyncSession], Awaitable[int]]] = {
        **{rows: partial(sweep, kept=timedelta(days=days)) for rows, (sweep, days) in aged.items() if days},
        "webhook_endpoints": disable_orphaned,
        "presence": sweep_expired,
        "push_cooldowns": sweep_cooldowns,
        "run_credentials": sweep_tokens,
        "github_deliveries": sweep_deliveries,
        "run_event_ids": sweep_event_ids,
        "idempotency_keys": sweep_keys,
        "console_sessions": sweep_sessions,
        # After the sessions: the deletion of a session deletes its devices.
        "push_tokens": sweep_silent_viewers,
        "terminal_logins": sweep_logins,
        "kept_bases": partial(sweep_bases, days=settings.check_base_days),
    }
    sweeps = {
        "restored_events": partial(adopt_events, sessions),
        **{
            rows: partial(until_none_is_left, sessions, sweep, seconds=_LONGEST_SECONDS)
            for rows, sweep in batches.items()
        },
    }
    for rows, sweep in sweeps.items():
        await attempt(partial(_sweep, rows, sweep), event="rows.not_swept")


async def _sweep(rows: str, sweep: Callable[[], Awaitable[int]]) -> None:
    if count := await sweep():
        log.info("rows.swept", rows=rows, count=count)
