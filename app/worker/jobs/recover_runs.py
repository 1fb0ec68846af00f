"""Cron: queue runs again after a lost job, decide on runs after a lost worker."""

from collections.abc import Mapping
from typing import Any

from app.services.runs.recovery import recover_runs as recover
from app.worker.context import worker_context

__all__ = ["recover_runs"]


async def recover_runs(ctx: Mapping[str, Any]) -> None:
    """Sweep once."""
    process = worker_context(ctx).process
    await recover(
        process,
        limit=process.settings.project_concurrency,
        silence=process.settings.outside_agent_silence,
    )
