"""Jobs that delete expired rows, table by table; any number of workers may do so at once."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory
from app.periodic import attempt
from app.services.accounts.console_sessions import sweep_sessions
from app.services.code_hosts.github_webhook import sweep_deliveries
from app.services.idempotency import sweep_keys
from app.services.notifications.presence import sweep_expired
from app.services.notifications.receipts import sweep_history
from app.services.run_log.log_writer import sweep_event_ids
from app.services.runs.credentials import sweep_tokens
from app.services.sweeping import until_none_is_left
from app.worker.context import worker_context

_Sweep = Callable[[AsyncSession], Awaitable[int]]
_NOTIFICATIONS: Final[Mapping[str, _Sweep]] = {"presence": sweep_expired, "notifications": sweep_history}
_KEYS: Final[Mapping[str, _Sweep]] = {
    "run_credentials": sweep_tokens,
    "github_deliveries": sweep_deliveries,
    "run_event_ids": sweep_event_ids,
    "idempotency_keys": sweep_keys,
    "console_sessions": sweep_sessions,
}

log = structlog.get_logger(__name__)


async def sweep_presence_and_notifications(ctx: Mapping[str, Any]) -> None:
    """Job: delete old notifications, and the expired rows of presence, which say which task a device shows."""
    await _sweep(ctx, _NOTIFICATIONS)


async def sweep_keys_and_ids(ctx: Mapping[str, Any]) -> None:
    """Job: delete unused tokens of runs, expired keys and console sessions, and old ids of events and webhooks."""
    await _sweep(ctx, _KEYS)


async def _sweep(ctx: Mapping[str, Any], tables: Mapping[str, _Sweep]) -> None:
    sessions = worker_context(ctx).process.sessions
    for table, delete in tables.items():
        await attempt(partial(_sweep_table, sessions, table, delete), event="rows.not_swept")


async def _sweep_table(sessions: SessionFactory, table: str, delete: _Sweep) -> None:
    if count := await until_none_is_left(sessions, delete):
        log.info("rows.swept", table=table, count=count)
