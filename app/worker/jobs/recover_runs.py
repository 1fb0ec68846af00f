"""Job that enqueues runs which have lost their job, and decides about runs that have lost their worker."""

from collections.abc import Mapping
from typing import Any

from app.services.runs import recovery
from app.worker.context import worker_context


async def recover_runs(ctx: Mapping[str, Any]) -> None:
    """Recover runs that wait without a job, have a lapsed lease, or have a silent outside agent."""
    process = worker_context(ctx).process
    limit, silence = process.settings.project_concurrency, process.settings.outside_agent_silence
    await recovery.recover_runs(process, limit=limit, silence=silence)
