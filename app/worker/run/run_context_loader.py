"""Loads the context of a claimed run from its rows, its stored files and the worker's settings."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.adapters.adapter import AgentOptions
from app.agents.adapters.catalog import DEFAULT_ADAPTER
from app.agents.check_execution.check_context import Preparation
from app.agents.errors import EnvironmentUnavailable
from app.agents.execution.run_context import RunAgent, RunContext, RunFiles, RunLimits, RunRepository
from app.agents.git.fetch import Source
from app.agents.git.git_command import Remote
from app.agents.network.network_access import NetworkRules
from app.agents.run_result import RunResult
from app.agents.session.budget import Budget
from app.agents.session.command_source import TurnPolicy
from app.agents.session.transcript import Emit
from app.config import Settings
from app.dialogue.agent_reports import Spent
from app.enums import RunMode
from app.models.runs.run_facts import USAGE
from app.schemas.staged_artifacts import ArtifactOut
from app.security.secrets import Cipher, DecryptionError
from app.services.code_hosts.branch_records import BranchRecord, ContinuedBranch, branch_to_resume
from app.services.code_hosts.host_credentials import CodeHost, HostAccess, clone_url, read_code_host
from app.services.code_hosts.pull_requests import PullRequestResult, PullRequestSubject, open_pull_request
from app.services.resume_chain import EarlierRun, earlier_runs, resumes
from app.services.retrying.retries import in_transaction
from app.services.runs.run_lifecycle import Claim
from app.services.runs.run_options import token_budget
from app.services.runs.run_spec import RunSpec, SpecEnvironment, read_run_spec
from app.services.runs.usage import spent_by_others
from app.services.views.task_links import task_page
from app.tracing.spans import traced
from app.verdicts.definitions import StoredDefinitions, read_definitions
from app.worker.run.branch_and_author import commit_author, new_branch_name
from app.worker.run.earlier_runs import take_up
from app.worker.run.run_files import Exchange, fetch_attachments
from app.worker.run.run_network import admit_mcp_servers, network_rules, setup_rules
from app.worker.worker_context import WorkerContext

_CACHE_NAME_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Publication:
    access: HostAccess
    subject: PullRequestSubject
    continued: ContinuedBranch | None

    @traced("run.publish")
    async def publish(self, result: RunResult, emit: Emit) -> tuple[PullRequestResult, BranchRecord | None]:
        """Create or update the pull request of a run; return it, and what to store of the branch that the run pushed.

        If this is cancelled, the host may have opened the pull request all the same.
        """
        opened = await open_pull_request(self.access.hosts.github, self.access, self.subject, result, emit)
        if not self.subject.repository or result.head_branch is None or result.head_sha is None:
            return opened, None
        return opened, BranchRecord(
            repository=self.subject.repository,
            integration_id=self.access.host.integration_id,
            branch=result.head_branch,
            base_branch=result.base_branch,
            head_sha=result.head_sha,
            base_sha=self.continued.base_sha if self.continued else result.base.sha,
            pull_request=opened.pull_request,
        )


def decrypt_variables(environment: SpecEnvironment | None, cipher: Cipher) -> dict[str, str]:
    encrypted = environment.encrypted_variables if environment is not None else {}
    try:
        return {name: cipher.decrypt(value) for name, value in encrypted.items()}
    except DecryptionError:
        raise EnvironmentUnavailable(
            "The variables of the run's sandbox environment cannot be decrypted: the secret that they were kept "
            "with is not among TASKBEACON_SECRET_KEYS any more. Enter them again."
        ) from None


def environment_of(worker: WorkerContext, run: RunSpec) -> tuple[NetworkRules, dict[str, str]]:
    """Return the network and the variables of a run's sandbox environment. Raises EnvironmentUnavailable."""
    process, is_named = worker.process, run.sandbox_environment_id is not None
    network = network_rules(process.settings, run.environment, is_named=is_named)
    return network, decrypt_variables(run.environment, process.cipher)


def preparation_for(
    worker: WorkerContext,
    run: RunSpec,
    network: NetworkRules,
    variables: Mapping[str, str],
    *,
    base: str | None,
    definitions: StoredDefinitions | None,
) -> Preparation:
    """Return the check sets of a run, and how its clones are set up.

    `base` is the commit where the continued work began; `definitions` are those with which the run began, if it has.
    """
    settings, environment = worker.process.settings, run.environment
    for_checks = environment.for_checks if environment else ()
    # Each project and repository has its own caches, so that no project reads what another one has written.
    owner = f"{run.project_id}\0{(run.repository or '').lower()}"
    name = hashlib.sha256(owner.encode()).hexdigest()[:_CACHE_NAME_LENGTH]
    return Preparation(
        places=run.places,
        finds=settings.checks_found == "suggest",
        base=base,
        definitions=read_definitions(definitions),
        sandbox=worker.sandbox,
        setup_network=setup_rules(settings, environment, network, sandbox=worker.sandbox.kind),
        run_network=network,
        variables={key: value for key, value in variables.items() if key in for_checks},
        caches=settings.caches_path / name if settings.check_cache_max_mb else None,
        caches_bytes=settings.check_cache_max_mb * 2**20,
    )


async def open_remote(worker: WorkerContext, host: CodeHost, repository: str) -> Remote:
    """Return a repository at a code host, with a credential for a clone now. Raises RepositoryError."""
    remote = Remote.parse(clone_url(host.git_url, repository))
    access = HostAccess(worker.code_hosts, host, worker.process.sessions)
    fresh = await access.credential() if remote.is_http else None
    return remote if fresh is None else replace(remote, credential=fresh)


@traced("run.read")
async def load_context(
    worker: WorkerContext, claim: Claim, exchange: Exchange
) -> tuple[RunContext, Publication]:
    settings, sessions = worker.process.settings, worker.process.sessions
    run_id, task_id = claim.run_id, claim.task_id
    run, host, resumed, used_by_others, earlier = await in_transaction(
        sessions, partial(_read, run_id=run_id, task_id=task_id, git_url=settings.git_base_url)
    )
    network, variables = environment_of(worker, run)
    base, definitions = resumed and resumed.base_sha, run.repair and run.repair.definitions
    preparation = preparation_for(worker, run, network, variables, base=base, definitions=definitions)
    servers, network = await admit_mcp_servers(worker.process, run.encrypted_mcp_servers, network)
    access = HostAccess(worker.code_hosts, host, worker.process.sessions)
    context = RunContext(
        run_id=run_id,
        repository=replace(
            _repository(settings, run, access, run_id=run_id, resumed=resumed),
            preparation=preparation,
        ),
        agent=await _agent(worker, claim, run, earlier, variables),
        limits=_limits(worker, run, used_by_others),
        files=RunFiles(
            workspaces=worker.workspaces,
            attachments=await fetch_attachments(
                worker.process.store,
                _select_attachments(run.state, run.artifacts),
                exchange.attachments,
                project_id=claim.project_id,
            ),
            outbox=exchange.outbox,
            session_file=exchange.session,
        ),
        network=network,
        sandbox=worker.sandbox,
        environment=worker.environment,
        may_notify=run.may_notify,
        servers=servers,
    )
    subject = PullRequestSubject(
        repository=run.repository or "",
        title=run.title,
        slug=run.slug,
        task_url=task_page(settings.task_url, claim.project_id, task_id),
    )
    return context, Publication(access, subject, resumed)


def _limits(worker: WorkerContext, run: RunSpec, used_by_others: Spent) -> RunLimits:
    settings = worker.process.settings
    return RunLimits(
        timeout=settings.run_timeout,
        worked=timedelta(seconds=run.repair.worked_seconds) if run.repair else None,
        budget=Budget.lowest(
            settings.task_token_budget, token_budget(run.state), cost=settings.task_cost_budget
        ),
        used=run.state.get(USAGE),
        used_by_others=used_by_others,
        gather=worker.gather,
    )


async def read_repository(
    session: AsyncSession, *, run_id: UUID, task_id: UUID, git_url: str
) -> tuple[RunSpec, CodeHost, ContinuedBranch | None]:
    """Return a claimed run, the code host of its repository, and the branch that it continues, if any."""
    run = await read_run_spec(session, run_id)
    if not run.repository:
        return run, CodeHost(git_url=git_url, api_url=None), None
    host = await read_code_host(session, git_base_url=git_url, run_id=run_id, state=run.state)
    branch = await branch_to_resume(session, task_id=task_id, run_id=run_id, repository=run.repository)
    return run, host, branch


async def _read(
    session: AsyncSession, *, run_id: UUID, task_id: UUID, git_url: str
) -> tuple[RunSpec, CodeHost, ContinuedBranch | None, Spent, Sequence[EarlierRun]]:
    run, host, resumed = await read_repository(session, run_id=run_id, task_id=task_id, git_url=git_url)
    spent = await spent_by_others(session, task_id, run_id)
    earlier = await earlier_runs(session, task_id, run_id) if resumes(run.state) else ()
    return run, host, resumed, spent, earlier


def _repository(
    settings: Settings, run: RunSpec, access: HostAccess, *, run_id: UUID, resumed: ContinuedBranch | None
) -> RunRepository:
    git_url = access.host.git_url
    source = None
    if run.repository:
        source = Source(
            remote=Remote.parse(clone_url(git_url, run.repository)),
            branch=run.branch,
            resumes=resumed is not None,
            depth=settings.git_clone_depth,
            filter=settings.git_clone_filter,
        )
    return RunRepository(
        push_branch=resumed.name if resumed else new_branch_name(run.slug, run_id),
        source=source,
        credential=access.credential,
        commit_subject=run.title or run.slug,
        author=commit_author(run),
        began=run.repair and run.repair.began,
        first=resumed.base_sha if resumed and resumes(run.state) else None,
    )


async def _agent(
    worker: WorkerContext,
    claim: Claim,
    run: RunSpec,
    earlier: Sequence[EarlierRun],
    variables: Mapping[str, str],
) -> RunAgent:
    settings, repair = worker.process.settings, run.repair
    message = repair.message if repair else run.text("pending_user_message")
    summary, session = await take_up(worker.process.store, earlier, claim.ref, is_repair=repair is not None)
    adapter = worker.process.catalog.find(run.option("runtime_adapter") or DEFAULT_ADAPTER)
    # The built-in agent gets the message alone: from the description it would execute the runbook again.
    task = "" if message and earlier and adapter.name == DEFAULT_ADAPTER else run.description or run.title
    return RunAgent(
        adapter=adapter,
        programs=settings.agents_path,
        prompt="\n\n".join(part for part in (task, message) if part),
        earlier_summary=summary,
        session=session,
        follow_up=message if message and message.strip() else None,
        json_schema=run.json_schema,
        options=AgentOptions(
            model=run.option("model"),
            effort=run.option("reasoning_effort"),
            mode=run.option("initial_permission_mode"),
        ),
        turns=TurnPolicy(
            interactive=run.state.get("mode") == RunMode.INTERACTIVE,
            human_timeout=settings.run_idle,
            interrupt_seconds=worker.run_times.interrupt,
            cancel_seconds=worker.run_times.cancel,
            close_seconds=worker.run_times.close,
        ),
        variables=variables,
    )


def _select_attachments(
    state: Mapping[str, object], artifacts: Sequence[ArtifactOut]
) -> tuple[ArtifactOut, ...]:
    ids = state.get("pending_user_artifact_ids")
    artifacts_by_id = {artifact["id"]: artifact for artifact in artifacts}
    wanted = [value for value in ids if isinstance(value, str)] if isinstance(ids, list) else []
    return tuple(artifacts_by_id[value] for value in dict.fromkeys(wanted) if value in artifacts_by_id)
