"""Chores that call one service each. Several workers may do one at once."""

from collections.abc import Mapping
from typing import Any

import structlog

from app.clients.s3 import ObjectStoreUnavailable
from app.db import unit_of_work
from app.services.artifacts import artifact_sweep
from app.services.code_hosts.verdict_reports import report_due
from app.services.runs import lost_runs
from app.services.runs.start import start_scheduled_runs
from app.services.tasks import count_folding
from app.shielded import shielded
from app.worker.worker_context import worker_context

log = structlog.get_logger(__name__)


async def recover_runs(ctx: Mapping[str, Any]) -> None:
    """Find runs that no worker or agent continues, and enqueue or end them.

    These are waiting runs without a job in the queue, runs with an expired lease, and runs of outside agents that
    send nothing. A stopped worker completes it within its drain: no later sweep would write to the logs of the runs
    that this one has failed.
    """
    process = worker_context(ctx).process
    limit, silence = process.settings.project_concurrency, process.settings.outside_agent_silence
    await shielded(lost_runs.recover_runs(process, limit=limit, silence=silence))


async def start_scheduled(ctx: Mapping[str, Any]) -> None:
    if count := await start_scheduled_runs(worker_context(ctx).process):
        log.info("run.scheduled_started", count=count)


async def sweep_artifacts(ctx: Mapping[str, Any]) -> None:
    process = worker_context(ctx).process
    await artifact_sweep.write_lifecycle(process.store)
    try:
        await artifact_sweep.sweep_artifacts(process.sessions, process.store)
    except ObjectStoreUnavailable as error:
        log.warning("artifacts.not_swept", error=repr(error))


async def report_verdicts(ctx: Mapping[str, Any]) -> None:
    worker = worker_context(ctx)
    while await report_due(worker.process.sessions, worker.code_hosts, worker.process.settings):
        pass


async def fold_counts(ctx: Mapping[str, Any]) -> None:
    for counts in (count_folding.TASK_COUNTS, count_folding.QUESTION_COUNTS):
        rows = count_folding.FOLDED_AT_ONCE
        # Rows written meanwhile are left for the next time, since writing never stops.
        while rows >= count_folding.FOLDED_AT_ONCE:
            async with unit_of_work(worker_context(ctx).process.sessions) as session:
                rows = await count_folding.fold_counts(session, counts)
