"""Cron: delete the rows that nothing reads any more, one table after the other."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import unit_of_work
from app.services.code_hosts.webhooks import sweep_deliveries
from app.services.idempotency import sweep_keys
from app.services.notifications.presence import sweep_expired
from app.services.notifications.receipts import sweep_history
from app.services.output.event_ids import sweep_event_ids
from app.services.runs.credentials import sweep_tokens
from app.worker.context import worker_context

__all__ = ["sweep_expired_keys", "sweep_push_history"]

_Sweep = Callable[[AsyncSession], Awaitable[int]]
_PUSH: Final[Mapping[str, _Sweep]] = {"presence": sweep_expired, "notifications": sweep_history}
_KEYS: Final[Mapping[str, _Sweep]] = {
    "run_credentials": sweep_tokens,
    "webhook_deliveries": sweep_deliveries,
    "run_event_ids": sweep_event_ids,
    "idempotency_keys": sweep_keys,
}

log = structlog.get_logger(__name__)


async def sweep_push_history(ctx: Mapping[str, Any]) -> None:
    """Delete presence that expired and old notifications."""
    await _sweep(ctx, _PUSH)


async def sweep_expired_keys(ctx: Mapping[str, Any]) -> None:
    """Delete tokens of runs that were never performed, and ids and keys that will not come again."""
    await _sweep(ctx, _KEYS)


async def _sweep(ctx: Mapping[str, Any], tables: Mapping[str, _Sweep]) -> None:
    for table, sweep in tables.items():
        async with unit_of_work(worker_context(ctx).process.sessions) as session:
            count = await sweep(session)
        if count:
            log.info("rows.swept", table=table, count=count)
