"""The chore that queues scheduled runs at their time. Several workers may do it at once."""

from collections.abc import Mapping

import structlog

from app.services.runs.new_runs import start_scheduled_runs
from app.worker.worker_context import worker_context

log = structlog.get_logger(__name__)


async def start_scheduled(ctx: Mapping[str, object]) -> None:
    if count := await start_scheduled_runs(worker_context(ctx).process):
        log.info("run.scheduled_started", count=count)
