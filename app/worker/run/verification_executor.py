"""Performs an attempt to check a run's work: reads the run, executes the checks, stores their output, and judges."""

import asyncio
from contextlib import suppress
from functools import partial

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.agents.adapters.catalog import DEFAULT_ADAPTER
from app.agents.check_execution.check_context import Checked
from app.agents.check_execution.commit_verification import verify
from app.agents.errors import AgentError, AgentStopped
from app.agents.execution.active_run import until_stopped
from app.agents.git.fetch import Source
from app.agents.git.run_repository import Author
from app.clients.storage.object_store_errors import ObjectStoreUnavailable
from app.clients.storage.storage_keys import RunRef
from app.clock import wire_time
from app.dialogue.agent_reports import notification_entry, progress_entry
from app.enums import ArtifactType, CheckCause, RunMode, Verdict, VerdictReason
from app.outages import DatabaseUnavailable
from app.services.artifacts.manifest import NewArtifact, store_run_artifact
from app.services.retrying.retries import in_transaction
from app.services.runs.verification_attempts import verification_lifecycle
from app.services.runs.verification_attempts.kept_bases import find_base, keep_base, pack, unpack
from app.services.runs.verification_attempts.shown_results import show_lost, show_progress, show_result
from app.services.runs.verification_attempts.verification_lifecycle import Conclusion, OpenAttempt
from app.services.views.verification_texts import repair_message
from app.verdicts.definitions import PlacedCheck, unite
from app.verdicts.judgement import (
    DETAIL_CHARACTERS,
    Execution,
    Facts,
    Judgement,
    Reason,
    digest_failures,
    judge,
    why_stopped,
)
from app.worker.run.log_recorder import RunLog, open_log
from app.worker.run.run_context_loader import environment_of, open_remote, preparation_for, read_repository
from app.worker.run.run_files import open_exchange
from app.worker.run.store_retry import StoreRetryBudget
from app.worker.worker_context import WorkerContext

log = structlog.get_logger(__name__)


async def perform(worker: WorkerContext, claimed: OpenAttempt, lost: asyncio.Event) -> Conclusion | None:
    """Perform a claimed attempt; return its conclusion, or None if it was closed meanwhile, which sets `lost`."""
    process = worker.process
    ref = RunRef(claimed.project_id, claimed.task_id, claimed.run_id)
    retry = StoreRetryBudget(
        process.settings.worker_store_wait_seconds, cut_short=lost, brief=worker.run_times.brief_store
    )
    try:
        async with (
            open_exchange(process.settings.workspaces_path, claimed.run_id, worker.remover) as exchange,
            open_log(process, ref, exchange.log, retry) as run_log,
        ):
            with suppress(AgentStopped):
                async with until_stopped(lost):
                    return await _Performance(worker, claimed, ref, run_log).perform()
    except (DatabaseUnavailable, SQLAlchemyError):
        raise
    except Exception:
        # Concluded and not repeated, since another worker would meet the same defect.
        log.exception("verification.unexpected_error")
        return Conclusion(shown=show_lost(claimed.shown["checks"]))
    return None


class _Performance:
    """An attempt in progress, with its effects outside the workspace (CheckEffects)."""

    def __init__(self, worker: WorkerContext, claimed: OpenAttempt, ref: RunRef, run_log: RunLog) -> None:
        self._worker = worker
        self._do = partial(in_transaction, worker.process.sessions)
        self._claimed = claimed
        self._ref = ref
        self.emit = run_log.append
        self._begun = {"started_at": wire_time()}
        self._checked: Checked | None = None
        self._fault = ""  # why no check was executed
        # Whether the run's agent can correct its work.
        self._can_be_asked = False

    async def note(self, checked: Checked, running: PlacedCheck | None) -> None:
        self._checked = checked
        # In a thread: there may be 100,000 cases.
        progress = await asyncio.to_thread(show_progress, checked, running)
        shown = {**self._begun, **progress}
        await self._do(partial(verification_lifecycle.note_progress, claimed=self._claimed, shown=shown))
        self._claimed.shown["checks"] = progress["checks"]

    async def store_output(self, check_id: str, part: str, output: bytes) -> str | None:
        name = f"{check_id}-attempt-{self._claimed.attempt}-{part}.log"
        file = NewArtifact(name, output, "text/plain", ArtifactType.OUTPUT, "service")
        try:
            entry = await store_run_artifact(self._worker.process.store, self._ref, file)
        except ObjectStoreUnavailable as error:
            log.warning("verification.log_not_stored", name=name, error=repr(error))
            return None
        if await self._do(partial(verification_lifecycle.add_log, claimed=self._claimed, entry=entry)):
            return entry["id"]
        message = f"{name} is left out: the run has as many files as it may have."
        await self.emit(progress_entry("check", message))
        return None

    async def find_base(self, key: bytes) -> Execution | None:
        project_id, days = self._claimed.project_id, self._worker.process.settings.check_base_days
        packed = await self._do(partial(find_base, project_id=project_id, key=key, days=days))
        # In a thread, here and below: there may be 100,000 cases. No transaction is open meanwhile.
        return None if packed is None else await asyncio.to_thread(unpack, packed)

    async def keep_base(self, key: bytes, execution: Execution) -> None:
        project_id, packed = self._claimed.project_id, await asyncio.to_thread(pack, execution)
        await self._do(partial(keep_base, project_id=project_id, key=key, packed=packed))

    async def perform(self) -> Conclusion:
        try:
            await self._verify()
        except AgentStopped:
            raise
        except AgentError as error:
            await self._note_fault(error.message)
            if self._checked is not None:
                self._checked.fill(CheckCause.SETUP_FAILED, error.message)
        # In a thread: for 100,000 cases it takes over a second, in which no other run of the worker would proceed.
        conclusion = await asyncio.to_thread(self._conclude)
        if conclusion.repair is not None:
            told = {"attempt": self._claimed.attempt, "source": "verification", "text": conclusion.repair}
            await self.emit(notification_entry("_taskbeacon/repair", told))
        return conclusion

    async def _note_fault(self, fault: str) -> None:
        self._fault = fault
        await self.emit(progress_entry("check", fault))

    async def _verify(self) -> None:
        worker, claimed = self._worker, self._claimed
        settings = worker.process.settings
        run_id, task_id, git_url = claimed.run_id, claimed.task_id, settings.git_base_url
        read = partial(read_repository, run_id=run_id, task_id=task_id, git_url=git_url)
        run, host, branch = await self._do(read)
        assert run.repository is not None
        is_agent = (run.option("runtime_adapter") or DEFAULT_ADAPTER) != DEFAULT_ADAPTER
        self._can_be_asked = is_agent and run.state.get("mode") != RunMode.INTERACTIVE
        remote = await open_remote(worker, host, run.repository)
        source = Source(remote=remote, branch=run.branch, resumes=True, depth=settings.git_clone_depth)
        preparation = preparation_for(
            worker, run, *environment_of(worker, run), base=claimed.base, definitions=claimed.definitions
        )
        seconds = settings.verification_timeout_seconds
        limit = asyncio.timeout(seconds)
        try:
            async with limit, worker.workspaces.open(run_id) as workspace:
                await workspace.prepare(source, branch.name if branch else "", author=Author())
                self._checked = await verify(workspace, source, claimed.commit, preparation, self)
        except TimeoutError:
            if not limit.expired():
                raise
            if self._checked is not None:
                self._checked.fill(CheckCause.DEADLINE)
            else:
                await self._note_fault(f"The checks had not begun after {seconds} seconds.")

    def _conclude(self) -> Conclusion:
        claimed, checked = self._claimed, self._checked or Checked(definitions=unite(()), checks=[])
        judged = checked.judge()
        facts = Facts(
            has_base=claimed.base is not None,
            protected_changed=checked.protected_changed,
            file_fault=checked.definitions.file_fault,
        )
        judgement = judge(judged, facts)
        if self._checked is None:
            reason = Reason(VerdictReason.SETUP_FAILED, detail=self._fault[:DETAIL_CHARACTERS])
            judgement = Judgement(Verdict.INCONCLUSIVE, (reason,))
        result = show_result(claimed.shown["claims"], checked, judged, judgement)
        shown = {**self._begun, **result}
        if claimed.delivery is None:
            return Conclusion(shown=shown)
        stopped, failures, earlier = None, digest_failures(judged), claimed.delivery["earlier"]
        has_changed = claimed.commit != claimed.delivery["began"]
        if judgement.verdict is Verdict.REFUTED and self._can_be_asked and has_changed:
            most = checked.definitions.max_repairs
            most = self._worker.process.settings.max_repairs if most is None else most
            stopped = why_stopped(failures, earlier, most=most)
            if stopped is None:
                attempt, attempts = len(earlier) + 1, most + 1
                message = repair_message(result, checked.definitions, attempt=attempt, attempts=attempts)
                return Conclusion(shown=shown, repair=message, failures=failures)
        return Conclusion(shown=shown | {"stopped": stopped}, failures=failures)
