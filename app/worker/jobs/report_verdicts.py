"""The chore that reports verdicts to code hosts. Several workers may do it at once."""

from collections.abc import Mapping

from app.services.code_hosts.verdict_reports import report_due
from app.worker.worker_context import worker_context


async def report_verdicts(ctx: Mapping[str, object]) -> None:
    worker = worker_context(ctx)
    await report_due(worker.process.sessions, worker.code_hosts, worker.process.settings)
