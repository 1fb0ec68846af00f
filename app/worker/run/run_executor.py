"""Performs a claimed run: loads its context, runs its agent, stores its files, publishes the work."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.agents.errors import AgentError, AgentStopped, as_agent_error
from app.agents.execution.active_run import until_stopped
from app.agents.execution.run_context import RunEffects
from app.agents.execution.run_steps import perform
from app.agents.run_result import RunResult
from app.agents.session.usage_meter import UsageMeter
from app.clients.storage.object_store import ObjectStore
from app.clients.storage.storage_keys import RunRef
from app.coroutines.periodic import attempt, repeating
from app.db import unit_of_work
from app.dialogue.agent_reports import notification_entry
from app.models.runs.run_facts import USAGE, note_fact
from app.outages import DatabaseUnavailable
from app.services.runs.run_lifecycle import Claim
from app.services.runs.usage import spent_by_others
from app.worker.run.earlier_runs import store_session
from app.worker.run.live_changes import LiveDiffs
from app.worker.run.log_recorder import RunLog, open_log
from app.worker.run.run_claim import mark_agent_started
from app.worker.run.run_context_loader import Publication, load_context
from app.worker.run.run_files import Exchange, open_exchange, store_artifacts, store_texts
from app.worker.run.run_outcome import RunReport
from app.worker.run.store_retry import StoreRetryBudget
from app.worker.run.stored_commands import StoredCommands
from app.worker.worker_context import WorkerContext

log = structlog.get_logger(__name__)


async def perform_run(worker: WorkerContext, claim: Claim, lost: asyncio.Event) -> RunReport:
    """Perform a claimed run, and store its log, artifacts and conversation. Return a report about the run.

    `lost` is set when the worker has lost its claim on the run, for example because the run was cancelled. The agent, a
    push or the publishing of a pull request then ends; what the code host has received stays there. If the run fails,
    the error is in the report and is not raised. Raises DatabaseUnavailable, SQLAlchemyError.
    """
    settings, store = worker.process.settings, worker.process.store
    wait, brief = settings.worker_store_wait_seconds, worker.run_times.brief_store
    retry = StoreRetryBudget(wait, cut_short=lost, brief=brief)
    try:
        async with open_exchange(settings.workspaces_path, claim.run_id, worker.remover) as exchange:
            async with open_log(worker.process, claim.ref, exchange.log, retry) as run_log:
                report, publication = await _run_agent(worker, claim, exchange, run_log, lost)
                report = await _store_files(store, claim.ref, report, exchange.outbox, run_log, retry)
                # After the files are stored, so that an error of publishing cannot lose them.
                report = await _publish(publication, report, run_log, lost)
            await store_session(store, exchange.session, ref=claim.ref, retry=retry)
    except (DatabaseUnavailable, SQLAlchemyError):
        raise
    except Exception as error:  # noqa: BLE001 - a run that is not ended here would be repeated, or fail as lost
        return _failure_report(error)
    return replace(report, log_is_whole=run_log.is_whole)


async def _run_agent(
    worker: WorkerContext, claim: Claim, exchange: Exchange, run_log: RunLog, lost: asyncio.Event
) -> tuple[RunReport, Publication | None]:
    diffs, is_repair = LiveDiffs(worker, claim, run_log), True
    async with StoredCommands(
        worker, claim, run_log, exchange.attachments, before_message=diffs.catch_up
    ) as commands:
        try:
            context, publication = await load_context(worker, claim, exchange)
            is_repair = context.limits.worked is not None
            effects = RunEffects(
                emit=run_log.append,
                stop=lost,
                commands=commands,
                meter=UsageMeter(context.limits.used, others=context.limits.used_by_others),
                before_agent=partial(mark_agent_started, worker, claim),
                show_changes=diffs.show,
                notify_user=commands.notify_user,
            )
            is_shared = context.limits.budget.is_limited
            async with record_usage(worker, claim, effects.meter, is_shared=is_shared):
                result = await perform(context, effects)
        except (DatabaseUnavailable, SQLAlchemyError):
            raise
        except Exception as error:  # noqa: BLE001 - the files that the agent has left are stored
            return replace(_failure_report(error), is_repair=is_repair), None
    report = RunReport(
        work=result,
        has_schema=context.agent.json_schema is not None,
        has_repository=context.repository.source is not None,
        is_repair=is_repair,
    )
    return report, publication


def _failure_report(error: Exception) -> RunReport:
    if isinstance(error, AgentError):
        log.info("run.agent_failed", reason=type(error).__name__)
    else:
        log.error("run.unexpected_error", exc_info=error)
    return RunReport(work=as_agent_error(error))


async def _store_files(
    store: ObjectStore, ref: RunRef, report: RunReport, outbox: Path, run_log: RunLog, retry: StoreRetryBudget
) -> RunReport:
    result = report.result
    # A repair that delivers nothing is dropped: the stored texts stay those of the delivered work.
    if result and (report.has_work or not report.is_repair):
        await store_texts(store, result, ref=ref, retry=retry)
    patch = result.patch if result else b""
    stored = await store_artifacts(store, outbox, patch, ref=ref, retry=retry)
    if stored.missing:
        await run_log.append(notification_entry("_taskbeacon/not_stored", {"files": list(stored.missing)}))
    return replace(report, stored=stored)


async def _publish(
    publication: Publication | None, report: RunReport, run_log: RunLog, lost: asyncio.Event
) -> RunReport:
    if publication is None or not isinstance(report.work, RunResult):
        return report
    # Nothing is published if the run was cancelled, or lost, while its files waited for the store.
    with suppress(AgentStopped):
        async with until_stopped(lost):
            pull_request, pushed = await publication.publish(report.work, run_log.append)
            report = replace(report, published=pull_request.output(), pushed=pushed)
    return report


_NOT_NOTED = "usage.not_noted"


@asynccontextmanager
async def record_usage(
    worker: WorkerContext, claim: Claim, meter: UsageMeter, *, is_shared: bool
) -> AsyncGenerator[None, None]:
    """Store the usage of a run every few seconds during the block, and once at its end; errors are logged."""
    noted, sessions, pause = meter.report(), worker.process.sessions, worker.run_times.usage

    async def note() -> None:
        nonlocal noted
        report = meter.report()
        if report is None or report == noted:
            return
        async with unit_of_work(sessions) as session:
            await note_fact(session, claim.run_id, USAGE, report, owner=claim.owner)
        noted = report

    async def see_others() -> None:
        async with unit_of_work(sessions) as session:
            meter.see_others(await spent_by_others(session, claim.task_id, claim.run_id))

    seeing = repeating(pause, see_others, event="usage.of_others_not_read")
    try:
        async with repeating(pause, note, event=_NOT_NOTED), seeing if is_shared else nullcontext():
            yield
    finally:
        await attempt(note, event=_NOT_NOTED)
