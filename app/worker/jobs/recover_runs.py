"""The chore that recovers lost runs. Several workers may do it at once."""

from collections.abc import Mapping

from app.coroutines.shielded import shielded
from app.services.runs import lost_runs
from app.worker.worker_context import worker_context


async def recover_runs(ctx: Mapping[str, object]) -> None:
    """Find runs that no worker or agent continues, and enqueue or end them.

    These are waiting runs without a job in the queue, runs with an expired lease, and runs of outside agents that
    send nothing. A stopped worker completes it within its drain: no later sweep would write to the logs of the runs
    that this one has failed.
    """
    process = worker_context(ctx).process
    limit, silence = process.settings.project_concurrency, process.settings.outside_agent_silence
    await shielded(lost_runs.recover_runs(process, limit=limit, silence=silence))
