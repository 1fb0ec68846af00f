"""The end of a run: decided from the report of its worker, and written once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any  # JSON

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.errors import AgentCancelled, AgentError
from app.agents.result import RunResult
from app.enums import RunReason, RunStatus
from app.services.code_hosts.pushed_branches import PushRecord, record_push
from app.services.retrying.attempts import in_transaction
from app.services.run_facts import LEFT_OUT, NOT_STORED
from app.services.runs import lifecycle as run_lifecycle
from app.services.runs.lifecycle import RunEnd
from app.services.runs.queue import Claim
from app.worker.context import WorkerContext
from app.worker.run.files import Stored

_LEFT_OUT_CHARACTERS = 2000
_NAMED_FILES = 10

# Between the words of the name of a class.
_BREAK = re.compile(r"(?<=[a-z])(?=[A-Z])")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """A worker's report about a performed run: the agent's result or error, the stored files, and the pull request."""

    work: RunResult | AgentError
    has_schema: bool = False
    # The keys about the pull request for the run's output and state.
    published: Mapping[str, Any] = field(default_factory=dict)
    pushed: PushRecord | None = None
    stored: Stored = field(default_factory=Stored)
    log_is_whole: bool = True

    @property
    def result(self) -> RunResult | None:
        """The result of the run, or the partial result of a failed run; None if there is no work to keep."""
        return self.work if isinstance(self.work, RunResult) else self.work.partial


async def end_run(worker: WorkerContext, claim: Claim, report: RunReport) -> None:
    """Decide from the report how the run ends, and store that in the database.

    If another process has already ended the run, nothing is changed.
    """
    end = _with_losses(_decide(report), report)

    async def finish(session: AsyncSession) -> bool:
        if report.pushed is not None:
            await record_push(session, task_id=claim.task_id, run_id=claim.run_id, pushed=report.pushed)
        return await run_lifecycle.finish(
            session, claim.run_id, end, owner=claim.owner, events=worker.process.events
        )

    if not await in_transaction(worker.process.sessions, finish):
        log.warning("run.ended_by_another", status=end.status.value)


def _decide(report: RunReport) -> RunEnd:
    work, result = report.work, report.result
    state = {LEFT_OUT: result.left_out[:_LEFT_OUT_CHARACTERS]} if result and result.left_out else {}
    if isinstance(work, RunResult):
        output = {
            "head_branch": work.head_branch,
            "head_sha": work.head_sha,
            "summary": work.summary,
            "files_changed": work.files_changed,
            **report.published,
        }
        return RunEnd(
            status=RunStatus.COMPLETED,
            output=work.structured if report.has_schema else output,
            state={**report.published, **state},
        )
    if isinstance(work, AgentCancelled):
        return RunEnd(status=RunStatus.CANCELLED, state=state)
    return RunEnd(status=RunStatus.FAILED, error_message=work.message, reason=reason_of(work), state=state)


def reason_of(error: AgentError) -> RunReason:
    """Return the reason that is named as the class of the error, or as a class that it inherits from."""
    names = (_BREAK.sub("_", kind.__name__).upper() for kind in type(error).__mro__)
    return next(RunReason[name] for name in names if name in RunReason.__members__)


def _with_losses(end: RunEnd, report: RunReport) -> RunEnd:
    end = replace(end, artifacts=report.stored.artifacts)
    files = report.stored.missing
    if not files and report.log_is_whole:
        return end
    status, reason = end.status, end.reason
    words = [end.error_message] if end.error_message else []
    if files:
        shown = ", ".join(files[:_NAMED_FILES]) + (", …" if len(files) > _NAMED_FILES else "")
        words.append(f"These files of the run could not be stored, and are lost: {shown}.")
    if not report.log_is_whole:
        words.append("The end of the run's log could not be stored.")
    if files and status is RunStatus.COMPLETED:
        status, reason = RunStatus.FAILED, RunReason.FILES_LOST
        words.append("Start the run again.")
    lost = {"files": list(files[:_NAMED_FILES]), "log_end": not report.log_is_whole}
    return replace(
        end,
        status=status,
        reason=reason,
        error_message=" ".join(words),
        state={**end.state, NOT_STORED: lost},
    )
