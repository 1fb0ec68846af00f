"""The chore that recovers lost runs. Several workers may do it at once."""

from collections.abc import Mapping

from app.coroutines.shielded import shielded
from app.services.runs import lost_runs
from app.worker.worker_context import worker_context


async def recover_runs(ctx: Mapping[str, object]) -> None:
    """Enqueue or end runs that wait without a job, lost their worker, or whose outside agent sends nothing."""
    process = worker_context(ctx).process
    limit, silence = process.settings.project_concurrency, process.settings.outside_agent_silence
    # Completed even if the worker stops: no later sweep writes to the logs of the runs that this one has failed.
    await shielded(lost_runs.recover_runs(process, limit=limit, silence=silence))
