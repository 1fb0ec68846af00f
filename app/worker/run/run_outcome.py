"""The end of a run: decided from the report of its worker, and written once."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any  # JSON

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.errors import AgentCancelled, AgentError, AgentTimedOut, BudgetSpent
from app.agents.git.patches import summarise
from app.agents.run_result import RunResult
from app.enums import RunReason, RunStatus, StopReason
from app.json_types import JsonDict
from app.models.runs.run_facts import CHANGES, LEFT_OUT, NOT_STORED
from app.services.code_hosts.branch_records import BranchRecord, record_branch
from app.services.enqueueing import enqueue_verification_after_commit
from app.services.retrying.retries import in_transaction
from app.services.runs import run_lifecycle
from app.services.runs.run_lifecycle import Claim, RunEnd
from app.services.runs.verification_attempts import verification_lifecycle
from app.services.runs.verification_attempts.shown_results import show_unchecked
from app.services.runs.verification_attempts.verification_lifecycle import RunDelivery
from app.tracing.spans import traced
from app.verdicts.judgement import Facts
from app.worker.run.run_files import StoredFiles
from app.worker.worker_context import WorkerContext

_LEFT_OUT_CHARACTERS = 2000
_NAMED_FILES = 10

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """A worker's report about a performed run: the agent's result or error, the stored files, and the pull request."""

    work: RunResult | AgentError
    has_schema: bool = False
    has_repository: bool = False
    # Whether its agent was to correct earlier work; True if its context was not loaded.
    is_repair: bool = True
    # The keys about the pull request for the run's output and state.
    published: Mapping[str, Any] = field(default_factory=dict)
    pushed: BranchRecord | None = None
    stored: StoredFiles = field(default_factory=StoredFiles)
    log_is_whole: bool = True

    @property
    def has_work(self) -> bool:
        return isinstance(self.work, RunResult) and self.work.head_sha is not None

    @property
    def has_checks(self) -> bool:
        definitions = self.work.definitions if isinstance(self.work, RunResult) else None
        return definitions is not None and (bool(definitions.checks) or definitions.file_fault is not None)

    @property
    def result(self) -> RunResult | None:
        """The result of the run, or the partial result of a failed run; None if there is no work to keep."""
        return self.work if isinstance(self.work, RunResult) else self.work.partial


@traced("run.finish")
async def end_run(worker: WorkerContext, claim: Claim, report: RunReport) -> None:
    """Store how a run ends, or have its work checked first; nothing if another process has ended it."""
    end = _with_losses(_decide(report), report)
    is_checked = end.status is RunStatus.COMPLETED and report.has_work and report.has_checks
    process = worker.process

    async def finish(session: AsyncSession) -> bool:
        if report.pushed is not None:
            await record_branch(session, task_id=claim.task_id, run_id=claim.run_id, pushed=report.pushed)
        if is_checked and isinstance(report.work, RunResult):
            base = report.pushed.base_sha if report.pushed else report.work.base.sha
            delivery = RunDelivery(work=report.work, base=base, end=end, has_schema=report.has_schema)
            attempt = await verification_lifecycle.deliver(
                session, claim.run_id, delivery, owner=claim.owner, events=process.events
            )
            if attempt:
                enqueue_verification_after_commit(session, process.queue, claim.run_id, attempt)
                return True
            # The run was cancelled: it gets the results of its agent below.
        elif (stopped := _why_stopped(report, end)) is not None and await verification_lifecycle.stop_repair(
            session, claim.run_id, stopped=stopped, owner=claim.owner, events=process.events
        ):
            return True
        return await run_lifecycle.finish(
            session, claim.run_id, end, owner=claim.owner, events=process.events
        )

    if not await in_transaction(process.sessions, finish):
        log.warning("run.ended_by_another", status=end.status.value)


def _why_stopped(report: RunReport, end: RunEnd) -> StopReason | None:
    match report.work:
        case RunResult() if report.has_work:
            return StopReason.AGENT if end.status is RunStatus.FAILED else None
        case RunResult():
            return StopReason.REPEATED if report.is_repair else None
        case AgentCancelled():
            return StopReason.CANCELLED
        case BudgetSpent():
            return StopReason.BUDGET
        case AgentTimedOut():
            return StopReason.DEADLINE
        case _:
            return StopReason.AGENT


def _decide(report: RunReport) -> RunEnd:
    work, result = report.work, report.result
    state: JsonDict = {}
    if result:
        totals = summarise(result.patch).totals
        state[CHANGES] = totals | {"files": max(totals["files"], len(result.files_changed))}
        if result.left_out:
            state[LEFT_OUT] = result.left_out[:_LEFT_OUT_CHARACTERS]
    if isinstance(work, RunResult):
        output = {
            "head_branch": work.head_branch,
            "head_sha": work.head_sha,
            "summary": work.summary,
            "files_changed": work.files_changed,
            **report.published,
        }
        if report.has_schema and work.head_branch:
            state["head_branch"] = work.head_branch
        return RunEnd(
            status=RunStatus.COMPLETED,
            output=work.structured if report.has_schema else output,
            state={**report.published, **state},
            verification=show_unchecked(
                Facts(has_repository=report.has_repository, has_changes=report.has_work),
                found=work.definitions.found if work.definitions else (),
                claims=work.claims,
                files=work.files_changed,
            ),
        )
    if isinstance(work, AgentCancelled):
        return RunEnd(status=RunStatus.CANCELLED, state=state)
    return RunEnd(status=RunStatus.FAILED, error_message=work.message, reason=work.reason, state=state)


def _with_losses(end: RunEnd, report: RunReport) -> RunEnd:
    end = replace(end, artifacts=report.stored.artifacts)
    files = report.stored.missing
    if not files and report.log_is_whole:
        return end
    words = [end.error_message] if end.error_message else []
    if files:
        shown = ", ".join(files[:_NAMED_FILES]) + (", …" if len(files) > _NAMED_FILES else "")
        words.append(f"These files of the run could not be stored, and are lost: {shown}.")
    if not report.log_is_whole:
        words.append("The end of the run's log could not be stored.")
    if files and end.status is RunStatus.COMPLETED:
        # Work whose files are lost gets no verdict.
        end = replace(end, status=RunStatus.FAILED, reason=RunReason.FILES_LOST, verification=None)
        words.append("Start the run again.")
    lost = {"files": list(files[:_NAMED_FILES]), "log_end": not report.log_is_whole}
    return replace(end, error_message=" ".join(words), state={**end.state, NOT_STORED: lost})
