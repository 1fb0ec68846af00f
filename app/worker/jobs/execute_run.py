"""Perform one run: claim it, have the agent do it, end it. No session is open while the agent works.

A job names a run, but performs whichever run of that project has waited longest (run_lifecycle.claim). It takes itself
off the queue first: if this worker dies, the sweeper asks for what the rows say, and a run that is asked for while
its job is ending gets another.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.agents.errors import AgentError, AgentStopped
from app.agents.execution.execution import RunResult, perform
from app.agents.session.usage import UsageMeter
from app.agents.workspace.kept_session import KeptSession
from app.clients.object_store import ObjectStoreUnavailable
from app.db import DatabaseUnavailable, unit_of_work
from app.enums import RunStatus
from app.services.code_hosts.credentials import HostAccess, is_member_still
from app.services.code_hosts.pull_requests import Outcome, open_pull_request
from app.services.code_hosts.pushed_branches import record_push
from app.services.jobs import enqueue_next_run, enqueue_push_delivery, request_run, withdraw_run
from app.services.output.events import own_entry
from app.services.retries import until_database_answers
from app.services.runs import lifecycle as run_lifecycle
from app.services.runs.facts import USAGE
from app.services.runs.lifecycle import RunEnd
from app.shielded import shielded
from app.worker.context import WorkerContext, worker_context
from app.worker.run.files import (
    AttachmentUnavailable,
    Exchange,
    fetch_attachments,
    open_exchange,
    store_artifacts,
)
from app.worker.run.inbox import Inbox
from app.worker.run.lease import Lease, LeaseLost, new_owner
from app.worker.run.log_recorder import RunLog, open_log
from app.worker.run.memory import recall
from app.worker.run.orders import UNEXPECTED, Ending, Orders, ending_of, read_orders
from app.worker.run.sessions import fetch_session, store_session
from app.worker.run.store_retry import StorePatience
from app.worker.run.usage import noting_usage

__all__ = ["execute_run"]

log = structlog.get_logger(__name__)


async def execute_run(ctx: Mapping[str, Any], *, run_id: str) -> None:
    """Perform a run of the project if one is to be had; a second copy of this job stops at the claim.

    A worker that is being stopped gives the run back; one that lost its lease ends the agent, and only a cancelled run
    still gets what that left.
    """
    worker = worker_context(ctx)
    owner = new_owner()
    # Side by side: there is a job for each run that waits, so it does no harm if this one is off the queue too late.
    _, claimed = await asyncio.gather(
        withdraw_run(worker.process.queue, UUID(run_id)),
        until_database_answers(lambda: _claim(worker, UUID(run_id), owner)),
    )
    if claimed is None:
        log.info("run.not_claimed", asked_for=run_id)
        return
    structlog.contextvars.bind_contextvars(run_id=str(claimed))
    try:
        orders = await _read_orders(worker, claimed, owner)
        if orders is None:
            return
        async with Lease(worker.process.sessions, worker.changes, claimed, owner=owner) as lease:
            try:
                ending = await _perform(worker, orders, owner, lease)
            except OSError as error:
                # No room for the run's files, for one. Left to its lease, it would be repeated or failed as lost.
                log.exception("run.unexpected_error")
                ending = ending_of(error, {}, has_schema=False)
            await _end(worker, orders, owner, ending)
    except LeaseLost:
        log.warning("run.lease_lost")
    except asyncio.CancelledError:
        await shielded(_hand_back(worker, claimed, owner))
        raise
    if worker.process.settings.project_concurrency:
        # One that waits because of the limit has no job any more.
        await enqueue_next_run(worker.process.queue, claimed)


async def _claim(worker: WorkerContext, run_id: UUID, owner: str) -> UUID | None:
    async with unit_of_work(worker.process.sessions) as session:
        claimed = await run_lifecycle.claim(
            session,
            run_id,
            owner=owner,
            events=worker.process.events,
            limit=worker.process.settings.project_concurrency,
        )
    return None if claimed is None else claimed["id"]


async def _read_orders(worker: WorkerContext, run_id: UUID, owner: str) -> Orders | None:
    """Return what the run is about; one that cannot be read fails: nobody else could read it either."""

    async def read() -> Orders:
        async with unit_of_work(worker.process.sessions) as session:
            return await read_orders(session, run_id, git_base_url=worker.process.settings.git_base_url)

    async def fail() -> None:
        async with unit_of_work(worker.process.sessions) as session:
            enqueue_push_delivery(session, worker.process.queue, run_id)
            await run_lifecycle.finish(
                session,
                run_id,
                RunEnd(status=RunStatus.FAILED, error_message=UNEXPECTED),
                owner=owner,
                events=worker.process.events,
            )

    try:
        return await until_database_answers(read)
    except (SQLAlchemyError, DatabaseUnavailable):
        # The run is taken back when its lease lapses.
        raise
    except Exception:
        log.exception("run.orders_not_read", run_id=str(run_id))
        await until_database_answers(fail)
        return None


async def _perform(worker: WorkerContext, orders: Orders, owner: str, lease: Lease) -> Ending:
    """Have the agent do the run, its updates kept in the run's log, and return how the run ends."""
    store, settings = worker.process.store, worker.process.settings
    patience = StorePatience(settings.worker_store_wait_seconds, cut_short=lease.lost)
    async with open_exchange(settings.workspaces_path, orders.run_id) as exchange:
        async with open_log(
            worker.process.sessions,
            store,
            orders.log,
            events=worker.process.events,
            file=exchange.log,
            patience=patience,
        ) as run_log:
            inbox = Inbox(
                worker,
                orders,
                owner=owner,
                emit=run_log.append,
                record=run_log.record,
                folder=exchange.inbox,
            )
            async with inbox:
                outcome = await _outcome(worker, orders, owner, lease, run_log, exchange, inbox)
            opened = await _open_pull_request(worker, orders, outcome, run_log)
            ending = ending_of(outcome, opened.output(), has_schema=orders.json_schema is not None)
            stored = await store_artifacts(
                store, exchange.outbox, ending.patch, ref=orders.log, patience=patience
            )
            if stored.missing:
                await run_log.append(own_entry("_taskbeacon/not_stored", {"files": list(stored.missing)}))
        await store_session(store, exchange.session, ref=orders.log, patience=patience)
    pushed = orders.pushed(outcome, opened) if isinstance(outcome, RunResult) else None
    ending = replace(ending, files=stored.artifacts, pushed=pushed)
    return ending.lacking(stored.missing, log_end=not run_log.is_whole)


async def _outcome(
    worker: WorkerContext,
    orders: Orders,
    owner: str,
    lease: Lease,
    run_log: RunLog,
    exchange: Exchange,
    inbox: Inbox,
) -> RunResult | Exception:
    try:
        attachments = await fetch_attachments(
            worker.process.store, orders.attached, exchange.inbox, project_id=orders.project_id
        )
    except AttachmentUnavailable as error:
        return error
    try:
        spec = orders.spec(
            worker.process.settings,
            catalog=worker.process.catalog,
            sandbox=worker.sandbox,
            environment=worker.environment,
            access=_access(worker, orders),
            mirrors=worker.mirrors,
            attachments=attachments,
            outbox=exchange.outbox,
            memory=await _memory(worker, orders),
            session=await _session(worker, orders),
            session_file=exchange.session,
        )
        meter = UsageMeter(orders.state.get(USAGE), others=orders.spent)
        async with noting_usage(
            worker.process.sessions,
            orders.run_id,
            meter,
            owner=owner,
            shares_with=orders.task_id if spec.budget.is_limited else None,
        ):
            return await perform(
                spec,
                run_log.append,
                stop=lease.lost,
                mailbox=inbox,
                meter=meter,
                before_agent=partial(_mark_agent_started, worker, orders, owner),
            )
    except AgentError as error:
        log.info("run.agent_failed", reason=type(error).__name__)
        return error
    except DatabaseUnavailable:
        # The run is taken back when its lease lapses, and repeated if its agent had not started.
        raise
    except Exception as error:
        log.exception("run.unexpected_error")
        return error


async def _open_pull_request(
    worker: WorkerContext, orders: Orders, outcome: RunResult | Exception, run_log: RunLog
) -> Outcome:
    if not isinstance(outcome, RunResult):
        return Outcome()
    return await open_pull_request(
        worker.code_hosts.github,
        _access(worker, orders),
        orders.subject(worker.process.settings),
        outcome,
        run_log.append,
    )


def _access(worker: WorkerContext, orders: Orders) -> HostAccess:
    async def ask() -> bool:
        async with unit_of_work(worker.process.sessions) as session:
            return await is_member_still(session, orders.host)

    return worker.code_hosts.access(orders.host, lambda: until_database_answers(ask))


async def _memory(worker: WorkerContext, orders: Orders) -> str | None:
    """Return what the agent is told of earlier runs; a store that is away costs the memory, not the run."""
    try:
        return await recall(
            worker.process.store, orders.earlier, project_id=orders.project_id, task_id=orders.task_id
        )
    except ObjectStoreUnavailable as error:
        log.warning("run.without_memory", error=repr(error))
        return None


async def _session(worker: WorkerContext, orders: Orders) -> KeptSession | None:
    """Return the conversation that the run before this one has left."""
    if not orders.earlier:
        return None
    previous, *_ = orders.earlier[-1]
    return await fetch_session(
        worker.process.store, project_id=orders.project_id, task_id=orders.task_id, run_id=previous
    )


async def _mark_agent_started(worker: WorkerContext, orders: Orders, owner: str) -> None:
    async def mark() -> bool:
        async with unit_of_work(worker.process.sessions) as session:
            return await run_lifecycle.mark_agent_started(session, orders.run_id, owner=owner)

    if not await until_database_answers(mark):
        # As if the heartbeat had noticed it first.
        raise AgentStopped("The run was stopped.")


async def _end(worker: WorkerContext, orders: Orders, owner: str, ending: Ending) -> None:
    async def finish() -> bool:
        async with unit_of_work(worker.process.sessions) as session:
            enqueue_push_delivery(session, worker.process.queue, orders.run_id)
            if ending.pushed is not None:
                await record_push(session, task_id=orders.task_id, run_id=orders.run_id, pushed=ending.pushed)
            return await run_lifecycle.finish(
                session,
                orders.run_id,
                RunEnd(
                    status=ending.status,
                    output=ending.output,
                    error_message=ending.error_message,
                    artifacts=ending.files,
                    state=ending.state,
                ),
                owner=owner,
                events=worker.process.events,
            )

    if not await until_database_answers(finish):
        log.warning("run.ended_by_another", status=ending.status.value)


async def _hand_back(worker: WorkerContext, run_id: UUID, owner: str) -> None:
    async def hand_back() -> bool:
        async with unit_of_work(worker.process.sessions) as session:
            is_returned = await run_lifecycle.hand_back(
                session, run_id, owner=owner, events=worker.process.events
            )
            if is_returned:
                request_run(session, worker.process.queue, run_id)
            return is_returned

    # Also while the database is being restarted with the worker: else the run would be failed as lost.
    if await until_database_answers(hand_back):
        log.info("run.handed_back")
