"""Job that enqueues runs without a job, decides about runs without a worker, and withdraws forgotten questions."""

from collections.abc import Mapping
from typing import Any

from app.services.runs import recovery
from app.worker.context import worker_context


async def recover_runs(ctx: Mapping[str, Any]) -> None:
    """Recover runs that wait without a job, have a lapsed lease, or have a silent outside agent.

    Also withdraws open questions of runs that wait for nothing.
    """
    process = worker_context(ctx).process
    limit, silence = process.settings.project_concurrency, process.settings.outside_agent_silence
    await recovery.recover_runs(process, limit=limit, silence=silence)
