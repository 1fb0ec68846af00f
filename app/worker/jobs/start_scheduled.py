"""Job that puts scheduled runs on the queue when their time has come."""

from collections.abc import Mapping
from typing import Any

import structlog

from app.services.runs.start import start_scheduled_runs
from app.worker.context import worker_context

log = structlog.get_logger(__name__)


async def start_scheduled(ctx: Mapping[str, Any]) -> None:
    if count := await start_scheduled_runs(worker_context(ctx).process):
        log.info("run.scheduled_started", count=count)
