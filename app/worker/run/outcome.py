"""The end of a run: decided here, from what its worker saw, and written once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any  # JSON

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.errors import AgentCancelled, AgentError, is_disk_full
from app.agents.result import RunResult
from app.agents.session.transcript import Emit
from app.clients.github import GitHub
from app.enums import RunStatus
from app.services.code_hosts.credentials import HostAccess
from app.services.code_hosts.pull_requests import Outcome, Subject, open_pull_request
from app.services.code_hosts.pushed_branches import PushRecord, record_push
from app.services.jobs import request_delivery
from app.services.runs import lifecycle as run_lifecycle
from app.worker.context import WorkerContext
from app.worker.retries import in_transaction
from app.worker.run.claim import Claim
from app.worker.run.files import Stored

__all__ = ["Publication", "RunReport", "end_run"]

_LEFT_OUT = "left_out"
_LEFT_OUT_CHARACTERS = 2000
_NAMED_FILES = 10
_UNEXPECTED = "The worker met an unexpected error while performing this run. Its log has the details."
_NO_ROOM = "The disk of the worker is full. Start the run again when there is room."

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Publication:
    """The code host of one run, and the subject of its pull request."""

    access: HostAccess
    subject: Subject

    async def publish(
        self, github: GitHub, result: RunResult, emit: Emit
    ) -> tuple[Outcome, PushRecord | None]:
        """Open or update the pull request; return it, and what to record of the push if there was one."""
        outcome = await open_pull_request(github, self.access, self.subject, result, emit)
        if not self.subject.repository or result.head_branch is None or result.head_sha is None:
            return outcome, None
        return outcome, PushRecord(
            repository=self.subject.repository,
            integration_id=self.access.host.integration_id,
            branch=result.head_branch,
            base_branch=result.base_branch,
            head_sha=result.head_sha,
            pull_request=outcome.pull_request,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What a worker saw of a run."""

    work: RunResult | Exception
    has_schema: bool = False
    # What the run's output and state say of the pull request.
    published: Mapping[str, Any] = field(default_factory=dict)
    pushed: PushRecord | None = None
    stored: Stored = field(default_factory=Stored)
    log_is_whole: bool = True

    @property
    def result(self) -> RunResult | None:
        """The agent's work, also that of a run that failed."""
        if isinstance(self.work, AgentError):
            return self.work.partial
        return self.work if isinstance(self.work, RunResult) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """How a run ends; people act on `error_message`."""

    status: RunStatus
    output: Any = None
    error_message: str | None = None
    # Keys to add to the run's state.
    state: Mapping[str, Any] = field(default_factory=dict)


async def end_run(worker: WorkerContext, claim: Claim, report: RunReport) -> None:
    """Decide how the run ends and write that, unless another process has ended it or taken it over."""
    outcome = _with_losses(_decide(report), report.stored.missing, log_is_whole=report.log_is_whole)

    async def finish(session: AsyncSession) -> bool:
        request_delivery(session, worker.process.queue, claim.run_id)
        if report.pushed is not None:
            await record_push(session, task_id=claim.task_id, run_id=claim.run_id, pushed=report.pushed)
        return await run_lifecycle.finish(
            session,
            claim.run_id,
            owner=claim.owner,
            status=outcome.status,
            events=worker.process.events,
            output=outcome.output,
            error_message=outcome.error_message,
            artifacts=[dict(artifact) for artifact in report.stored.artifacts],
            state=outcome.state,
        )

    if not await in_transaction(worker.process.sessions, finish):
        log.warning("run.ended_by_another", status=outcome.status.value)


def _decide(report: RunReport) -> RunOutcome:
    """Return the outcome of the agent's work.

    The output of a task with a JSON schema is the structured output alone.
    """
    work, result = report.work, report.result
    state = {_LEFT_OUT: result.left_out[:_LEFT_OUT_CHARACTERS]} if result and result.left_out else {}
    if isinstance(work, RunResult):
        output = {
            "head_branch": work.head_branch,
            "head_sha": work.head_sha,
            "summary": work.summary,
            "files_changed": work.files_changed,
            **report.published,
        }
        return RunOutcome(
            status=RunStatus.COMPLETED,
            output=work.structured if report.has_schema else output,
            state={**report.published, **state},
        )
    if isinstance(work, AgentCancelled):
        return RunOutcome(status=RunStatus.CANCELLED, state=state)
    if isinstance(work, AgentError):
        return RunOutcome(status=RunStatus.FAILED, error_message=work.message, state=state)
    message = _NO_ROOM if is_disk_full(work) else _UNEXPECTED
    return RunOutcome(status=RunStatus.FAILED, error_message=message)


def _with_losses(outcome: RunOutcome, files: Sequence[str], *, log_is_whole: bool) -> RunOutcome:
    """Return the outcome if the store did not take these files, or not the end of the log.

    A run without its files is not completed, however good its work; the agent's own error message stays.
    """
    if not files and log_is_whole:
        return outcome
    words = [outcome.error_message] if outcome.error_message else []
    if files:
        shown = ", ".join(files[:_NAMED_FILES]) + (", …" if len(files) > _NAMED_FILES else "")
        words.append(f"The object store did not answer, so these files of the run are lost: {shown}.")
    if not log_is_whole:
        words.append("The end of the run's log could not be stored.")
    status = outcome.status
    if files and status is RunStatus.COMPLETED:
        status = RunStatus.FAILED
        words.append("Start the run again.")
    lost = {"files": list(files[:_NAMED_FILES]), "log_end": not log_is_whole}
    return replace(
        outcome,
        status=status,
        error_message=" ".join(words),
        state={**outcome.state, run_lifecycle.NOT_STORED: lost},
    )
