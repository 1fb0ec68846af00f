"""Performs an attempt: read what decides it, execute the checks, store their output, judge."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.adapters.catalog import DEFAULT_ADAPTER
from app.agents.checks.context import CheckContext, Checked, CheckEffects, Workspaces
from app.agents.checks.verify import verify
from app.agents.errors import AgentError, AgentStopped
from app.agents.execution.active_run import until_stopped
from app.agents.git.command import Remote
from app.agents.git.fetch import Source
from app.clients.object_store import ObjectStoreUnavailable
from app.clock import wire_time
from app.enums import ArtifactType, CheckCause, OnUnverified, RunMode, Verdict, VerdictReason
from app.schemas.runs.artifacts import ManifestEntry
from app.services.artifacts.manifest import NewArtifact, store_run_artifact
from app.services.code_hosts.credentials import CodeHost, clone_url, is_member_still, read_code_host
from app.services.code_hosts.pushed_branches import ContinuedBranch, branch_to_resume
from app.services.retrying.attempts import in_transaction
from app.services.run_log.events import own_entry
from app.services.runs.claimed_run import ClaimedRun, read_claimed_run
from app.services.runs.verification import attempts
from app.services.runs.verification.attempts import Conclusion, OpenAttempt
from app.services.storage_keys import RunRef
from app.services.verification.kept_bases import find_base, keep_base
from app.services.verification.results import judged_checks, show_progress, show_result
from app.verification.definitions import DEFINITIONS, PlacedCheck, unite
from app.verification.judgement import Execution, Facts, JudgedCheck, Judgement, Reason, judge
from app.verification.repair import decide_next, digest_failures, repair_message
from app.worker.context import WorkerContext
from app.worker.run.context import decrypt_variables, defined_for, network_rules
from app.worker.run.files import open_exchange
from app.worker.run.log_recorder import RunLog, open_log
from app.worker.run.store_retry import StoreRetryBudget

log = structlog.get_logger(__name__)
_DETAIL_CHARACTERS = 300
_UNVERIFIED = (Verdict.REFUTED, Verdict.INCONCLUSIVE)


async def check(worker: WorkerContext, claimed: OpenAttempt, lost: asyncio.Event) -> Conclusion | None:
    """Perform a claimed attempt; return what follows, or None if it was closed meanwhile, at which `lost` is set."""
    process = worker.process
    ref = RunRef(claimed.project_id, claimed.task_id, claimed.run_id)
    retry = StoreRetryBudget(
        process.settings.worker_store_wait_seconds, cut_short=lost, brief=worker.run_times.brief_store
    )
    async with (
        open_exchange(process.settings.workspaces_path, claimed.run_id, worker.remover) as exchange,
        open_log(
            process.sessions, process.store, ref, events=process.events, file=exchange.log, retry=retry
        ) as run_log,
    ):
        with suppress(AgentStopped):
            async with until_stopped(lost):
                return await _check(worker, claimed, run_log)
    return None


async def _check(worker: WorkerContext, claimed: OpenAttempt, run_log: RunLog) -> Conclusion:
    sessions = worker.process.sessions
    begun = {"started_at": wire_time()}
    checked: Checked | None = None
    cause: CheckCause | None = None

    async def note(so_far: Checked, running: PlacedCheck | None) -> None:
        nonlocal checked
        checked = so_far
        shown = begun | show_progress(so_far, running)
        await in_transaction(sessions, partial(attempts.note_progress, claimed=claimed, shown=shown))

    async def find(key: bytes) -> Execution | None:
        days = worker.process.settings.check_base_days
        return await in_transaction(
            sessions, lambda session: find_base(session, claimed.project_id, key, days=days)
        )

    async def keep(key: bytes, execution: Execution) -> None:
        await in_transaction(sessions, lambda session: keep_base(session, claimed.project_id, key, execution))

    fault, can_be_asked = "", False
    try:
        context, can_be_asked = await _read_context(worker, claimed)
        effects = CheckEffects(
            emit=run_log.append,
            note=note,
            find_base=find,
            keep_base=keep,
        )
        async with asyncio.timeout(context.seconds):
            checked = await verify(context, effects)
    except TimeoutError:
        cause = CheckCause.DEADLINE
    except AgentStopped:
        raise
    except AgentError as error:
        await run_log.append(own_entry("_taskbeacon/progress", {"step": "check", "message": error.message}))
        fault, cause = error.message, CheckCause.SETUP_FAILED
    conclusion = await _judge(worker, claimed, begun, checked, fault, cause, can_be_asked=can_be_asked)
    if conclusion.repair is not None:
        said = {"attempt": claimed.attempt, "source": "verification", "text": conclusion.repair}
        await run_log.append(own_entry("_taskbeacon/repair", said))
    return conclusion


async def _read_context(worker: WorkerContext, claimed: OpenAttempt) -> tuple[CheckContext, bool]:
    """Return the context of a claimed attempt, and whether the run's agent can be asked to correct its work.

    Raises AgentError.
    """
    process = worker.process
    settings, sessions = process.settings, process.sessions
    run, host, branch = await in_transaction(
        sessions, partial(_read_rows, claimed=claimed, git_url=settings.git_base_url)
    )
    assert run.repository is not None
    access = worker.code_hosts.access(
        host, lambda: in_transaction(sessions, lambda session: is_member_still(session, host))
    )
    remote = Remote.parse(clone_url(access.host.git_url, run.repository))
    if remote.is_http and (fresh := await access.credential()) is not None:
        remote = replace(remote, credential=fresh)
    definitions = claimed.definitions
    variables = decrypt_variables(run.environment, process.cipher)
    network = network_rules(settings, run.environment, is_named=run.sandbox_environment_id is not None)
    context = CheckContext(
        run_id=claimed.run_id,
        source=Source(remote=remote, branch=run.branch, resumes=True, depth=settings.git_clone_depth),
        push_branch=branch.name if branch else "",
        commit=claimed.commit,
        defined=defined_for(worker, run, network, variables, base=claimed.base),
        definitions=None if definitions is None else DEFINITIONS.validate_python(definitions),
        workspaces=Workspaces(
            root=settings.workspaces_path,
            remover=worker.remover,
            hidden=(settings.home.absolute(),),
            mirrors=worker.mirrors,
        ),
        environment=worker.environment,
        seconds=settings.verification_timeout_seconds,
    )
    is_agent = (run.option("runtime_adapter") or DEFAULT_ADAPTER) != DEFAULT_ADAPTER
    return context, is_agent and run.state.get("mode") != RunMode.INTERACTIVE


async def _read_rows(
    session: AsyncSession, *, claimed: OpenAttempt, git_url: str
) -> tuple[ClaimedRun, CodeHost, ContinuedBranch | None]:
    run = await read_claimed_run(session, claimed.run_id)
    host = await read_code_host(session, git_base_url=git_url, run_id=claimed.run_id, state=run.state)
    repository = run.repository or ""
    branch = await branch_to_resume(
        session, task_id=claimed.task_id, run_id=claimed.run_id, repository=repository
    )
    return run, host, branch


async def _judge(
    worker: WorkerContext,
    claimed: OpenAttempt,
    begun: dict[str, Any],
    checked: Checked | None,
    fault: str,
    cause: CheckCause | None,
    *,
    can_be_asked: bool,
) -> Conclusion:
    """Return what follows from what was seen; `cause` is why not all was, if an attempt could not be performed."""
    if checked is None:
        reason = Reason(VerdictReason.SETUP_FAILED, detail=fault[:_DETAIL_CHARACTERS])
        judgement = Judgement(Verdict.INCONCLUSIVE, (reason,))
        checked, judged = Checked(definitions=unite(()), checks=[]), list[JudgedCheck]()
    else:
        if cause is not None:
            checked.fill(cause)
        judged = judged_checks(checked)
        facts = Facts(protected_changed=checked.protected_changed, file_fault=checked.definitions.file_fault)
        judgement = judge(judged, facts)
    ref = RunRef(claimed.project_id, claimed.task_id, claimed.run_id)
    artifacts, logs = await _store_logs(worker, ref, claimed.attempt, checked)
    shown = begun | show_result(claimed.shown["claims"], checked, judged, judgement, logs)
    conclusion = Conclusion(shown=shown, artifacts=artifacts)
    if claimed.delivery is None:
        return conclusion
    earlier = claimed.delivery["earlier"]
    return _decide(worker, conclusion, checked, judged, earlier, can_be_asked=can_be_asked)


def _decide(
    worker: WorkerContext,
    conclusion: Conclusion,
    checked: Checked,
    judged: Sequence[JudgedCheck],
    earlier: Sequence[str],
    *,
    can_be_asked: bool,
) -> Conclusion:
    """Return the conclusion with what follows for the run: a repair by its agent, or its end.

    `earlier` are the failures that the agent was to correct before.
    """
    definitions, most = checked.definitions, checked.definitions.max_repairs
    most = worker.process.settings.max_repairs if most is None else most
    verdict = conclusion.shown["verdict"]
    failures = digest_failures(judged)
    following = decide_next(
        verdict,
        can_be_asked=can_be_asked,
        repairs_left=most - len(earlier),
        failures=failures,
        earlier=earlier,
    )
    if following.is_repaired:
        outputs = {
            each.placed.check.id: each.executions[-1].tail for each in checked.checks if each.executions
        }
        message = repair_message(
            judged,
            outputs,
            attempt=len(earlier) + 1,
            attempts=most + 1,
            protected_changed=checked.protected_changed,
        )
        return replace(conclusion, repair=message, failures=failures)
    shown = {**conclusion.shown, "stopped": following.stopped}
    fails = definitions.on_unverified is OnUnverified.FAIL and verdict in _UNVERIFIED
    fault = f"The result is not verified: {verdict}" if fails else None
    return replace(conclusion, shown=shown, failures=failures, error_message=fault)


async def _store_logs(
    worker: WorkerContext, ref: RunRef, attempt: int, checked: Checked
) -> tuple[list[ManifestEntry], dict[tuple[str, int], str]]:
    """Store the output of each execution as a file of the run; return the files, and their ids. Errors are logged."""
    artifacts: list[ManifestEntry] = []
    logs: dict[tuple[str, int], str] = {}
    for each in checked.checks:
        for number, performed in enumerate(each.executions):
            check_id = each.placed.check.id
            name = f"check-{check_id}-{attempt}-{number + 1}.log"
            file = NewArtifact(name, performed.output, "text/plain", ArtifactType.OUTPUT, "service")
            try:
                entry = await store_run_artifact(worker.process.store, ref, file)
            except ObjectStoreUnavailable as error:
                log.warning("verification.log_not_stored", name=name, error=repr(error))
                continue
            artifacts.append(entry)
            logs[check_id, number] = entry["id"]
    return artifacts, logs
