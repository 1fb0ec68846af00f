"""Reads the context of a claimed run from its rows, its stored files and the worker's settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any  # JSON
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.adapters.adapter import AgentOptions
from app.agents.adapters.catalog import DEFAULT_ADAPTER
from app.agents.errors import EnvironmentUnavailable
from app.agents.execution.context import RunAgent, RunContext, RunFiles, RunLimits, RunRepository
from app.agents.git.command import Remote
from app.agents.git.fetch import Source
from app.agents.git.repository import Author
from app.agents.network.domains import TRUSTED_DOMAINS
from app.agents.network.network import NetworkRules
from app.agents.network.proxy import Service
from app.agents.session.budget import Budget
from app.agents.session.commands import TurnPolicy
from app.clients.object_store import ObjectStoreUnavailable
from app.config import Settings
from app.enums import AgentNetwork, NetworkAccessLevel, PrAuthorshipMode, RunMode
from app.run_values import Spent
from app.schemas.staged_artifacts import ArtifactOut
from app.security import Cipher, DecryptionError
from app.services.code_hosts.credentials import (
    CodeHost,
    HostAccess,
    clone_url,
    is_member_still,
    read_code_host,
)
from app.services.code_hosts.pull_requests import PullRequestSubject
from app.services.code_hosts.pushed_branches import branch_to_resume
from app.services.resume_chain import EarlierRun, earlier_runs, resumes
from app.services.retrying.attempts import in_transaction
from app.services.run_facts import AUTHORSHIP, USAGE
from app.services.runs.claimed_run import ClaimedRun, read_claimed_run
from app.services.runs.options import token_budget
from app.services.runs.usage import spent_by_others
from app.services.sandbox_environments import effective_domains
from app.services.task_links import task_page
from app.services.views.slugs import slug, slug_prefix
from app.worker.context import WorkerContext
from app.worker.run.claim import Claim
from app.worker.run.earlier_runs import fetch_session, recall
from app.worker.run.files import Exchange, fetch_attachments
from app.worker.run.publication import Publication

_SHORT_ID_LENGTH = 8
_LONGEST_OPTION = 1000

log = structlog.get_logger(__name__)


_LEVELS = {
    NetworkAccessLevel.NONE: AgentNetwork.NONE,
    NetworkAccessLevel.MODEL_ONLY: AgentNetwork.MODEL_ONLY,
    NetworkAccessLevel.TRUSTED: AgentNetwork.TRUSTED,
    NetworkAccessLevel.CUSTOM: AgentNetwork.TRUSTED,
    NetworkAccessLevel.FULL: AgentNetwork.FULL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSandbox:
    """The network level, hosts and encrypted variables of the sandbox environment that a run names."""

    environment_id: UUID | None = None  # None if the run names no environment
    level: NetworkAccessLevel | None = None  # None if the run names no environment, or one that is gone
    domains: tuple[str, ...] = ()
    encrypted_variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    def network(self, settings: Settings) -> NetworkRules:
        """Return the network level and hosts of the sandbox environment; if the run has none, those of the settings.

        The returned level is never wider than `settings.network_ceiling`, the limit that the operator has set. If the
        level was lowered, `note` of the result says so.
        """
        if self.environment_id is None:
            asked, domains = settings.agent_network, TRUSTED_DOMAINS
        elif self.level is None:
            raise EnvironmentUnavailable(
                "The sandbox environment of this run was deleted, or is another person's own. Start the run again with "
                "another one."
            )
        else:
            asked, domains = _LEVELS[self.level], self.domains
        level = asked.at_most(settings.network_ceiling)
        capped = f"The run's environment asks for the network level '{asked}'; this service gives '{level}' at most."
        return NetworkRules(
            level=level,
            # A level lowered from `full` has no list of domains.
            domains=domains if asked is not AgentNetwork.FULL else TRUSTED_DOMAINS,
            services=[Service.parse(text) for text in settings.agent_network_services],
            unenforced=settings.agent_network_unenforced,
            note=capped if level is not asked else "",
        )

    def variables(self, cipher: Cipher) -> dict[str, str]:
        """Return the environment variables that the sandbox environment defines for the agent, decrypted."""
        try:
            return {name: cipher.decrypt(value) for name, value in self.encrypted_variables.items()}
        except DecryptionError:
            raise EnvironmentUnavailable(
                "The variables of the run's sandbox environment cannot be decrypted: the secret that they were kept "
                "with is not among TASKBEACON_SECRET_KEYS any more. Enter them again."
            ) from None


def run_sandbox(run: ClaimedRun) -> RunSandbox:
    """Return the sandbox environment of a run."""
    environment = run.environment
    if environment is None:
        return RunSandbox(environment_id=run.sandbox_environment_id)
    level = environment.network_access_level
    domains = effective_domains(
        level, environment.allowed_domains, include_defaults=environment.include_default_domains
    )
    return RunSandbox(
        environment_id=run.sandbox_environment_id,
        level=level,
        domains=tuple(domains),
        encrypted_variables=environment.encrypted_variables,
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a run and of its task, project and accounts, as read at the claim."""

    run: ClaimedRun
    state: Mapping[str, Any]
    host: CodeHost
    resumed_branch: str | None
    used_by_others: Spent
    earlier: Sequence[EarlierRun]

    @property
    def slug(self) -> str:
        return slug(slug_prefix(self.run.project_name), self.run.task_number) or "task"

    def text(self, key: str) -> str | None:
        """Return a text from the state; None for any other value, since clients write the state too."""
        value = self.state.get(key)
        return value if isinstance(value, str) else None

    def option(self, key: str) -> str | None:
        """Return an option for the agent, from the state."""
        value = self.text(key)
        return None if value is None or len(value) > _LONGEST_OPTION else value


async def read_context(
    worker: WorkerContext, claim: Claim, exchange: Exchange
) -> tuple[RunContext, Publication]:
    """Return the context of a claimed run, and the data with which its work is published at the code host."""
    settings = worker.process.settings
    rows = await in_transaction(
        worker.process.sessions, partial(_read, claim=claim, git_base_url=settings.git_base_url)
    )
    confines = run_sandbox(rows.run)
    access = _access(worker, rows.host)
    attached = _select_attachments(rows.state, rows.run.artifacts)
    files = RunFiles(
        root=settings.workspaces_path,
        remover=worker.remover,
        hidden=(settings.home.absolute(),),
        mirrors=worker.mirrors,
        attachments=await fetch_attachments(
            worker.process.store, attached, exchange.attachments, project_id=claim.project_id
        ),
        outbox=exchange.outbox,
        session_file=exchange.session,
    )
    context = RunContext(
        run_id=claim.run_id,
        repository=_repository(worker, claim, rows, access),
        agent=await _agent(worker, claim, rows, confines.variables(Cipher(settings.secret_keys))),
        limits=RunLimits(
            timeout=settings.run_timeout,
            budget=Budget(
                tokens=min(
                    filter(None, (settings.task_token_budget, token_budget(rows.state))), default=None
                ),
                cost=settings.task_cost_budget or None,
            ),
            used=rows.state.get(USAGE),
            used_by_others=rows.used_by_others,
        ),
        files=files,
        network=confines.network(settings),
        sandbox=worker.sandbox,
        environment=worker.environment,
        may_notify=rows.run.may_notify,
    )
    return context, Publication(access, _subject(worker, claim, rows))


async def _read(session: AsyncSession, *, claim: Claim, git_base_url: str) -> _Rows:
    run_id, task_id = claim.run_id, claim.task_id
    run = await read_claimed_run(session, run_id)
    state, repository = run.state, run.repository
    host, resumed = CodeHost(git_url=git_base_url, api_url=None), None
    if repository:
        host = await read_code_host(session, git_base_url=git_base_url, run_id=run_id, state=state)
        resumed = await branch_to_resume(session, task_id=task_id, run_id=run_id, repository=repository)
    return _Rows(
        run=run,
        state=state,
        host=host,
        resumed_branch=resumed,
        used_by_others=await spent_by_others(session, task_id, run_id),
        earlier=await earlier_runs(session, task_id, run_id) if resumes(state) else (),
    )


def _access(worker: WorkerContext, host: CodeHost) -> HostAccess:
    return worker.code_hosts.access(
        host, lambda: in_transaction(worker.process.sessions, lambda session: is_member_still(session, host))
    )


def _repository(worker: WorkerContext, claim: Claim, rows: _Rows, access: HostAccess) -> RunRepository:
    settings, run, git_url = worker.process.settings, rows.run, rows.host.git_url
    # The last digits of the id are random; ids of the same minute begin alike.
    own_branch = f"taskbeacon/{rows.slug.lower()}-{claim.run_id.hex[-_SHORT_ID_LENGTH:]}"
    source = None
    if run.repository:
        source = Source(
            remote=Remote.parse(clone_url(git_url, run.repository)),
            branch=run.branch,
            resumes=rows.resumed_branch is not None,
            depth=settings.git_clone_depth,
            filter=settings.git_clone_filter,
        )
    return RunRepository(
        push_branch=rows.resumed_branch or own_branch,
        source=source,
        credential=access.credential,
        submodules_below=git_url if settings.git_submodules else None,
        commit_subject=run.title or rows.slug,
        author=_author(rows),
    )


async def _agent(worker: WorkerContext, claim: Claim, rows: _Rows, variables: Mapping[str, str]) -> RunAgent:
    settings, store, run = worker.process.settings, worker.process.store, rows.run
    message = rows.text("pending_user_message")
    summary = session = None
    if rows.earlier:
        try:
            summary = await recall(store, rows.earlier, project_id=claim.project_id, task_id=claim.task_id)
        except ObjectStoreUnavailable as error:
            # The agent works without a summary.
            log.warning("run.without_summary", error=repr(error))
        session = await fetch_session(
            store, project_id=claim.project_id, task_id=claim.task_id, run_id=rows.earlier[-1].id
        )
    return RunAgent(
        adapter=worker.process.catalog.find(rows.option("runtime_adapter") or DEFAULT_ADAPTER),
        programs=settings.agents_path,
        prompt="\n\n".join(part for part in (run.description or run.title, message) if part),
        earlier_summary=summary,
        session=session,
        follow_up=message if message and message.strip() else None,
        json_schema=run.json_schema,
        options=AgentOptions(
            model=rows.option("model"),
            effort=rows.option("reasoning_effort"),
            mode=rows.option("initial_permission_mode"),
        ),
        turns=TurnPolicy(
            interactive=rows.state.get("mode") == RunMode.INTERACTIVE, human_timeout=settings.run_idle
        ),
        variables=variables,
    )


def _subject(worker: WorkerContext, claim: Claim, rows: _Rows) -> PullRequestSubject:
    return PullRequestSubject(
        repository=rows.run.repository or "",
        title=rows.run.title,
        slug=rows.slug,
        task_url=task_page(worker.process.settings.task_url, claim.project_id, claim.task_id),
    )


def _author(rows: _Rows) -> Author:
    person = rows.run.person
    if rows.state.get(AUTHORSHIP) != PrAuthorshipMode.USER or person is None:
        return Author()
    name = " ".join(f"{person.first_name} {person.last_name}".split())
    return Author(name=name or person.email, email=person.email)


def _select_attachments(
    state: Mapping[str, Any], artifacts: Sequence[ArtifactOut]
) -> tuple[ArtifactOut, ...]:
    ids = state.get("pending_user_artifact_ids")
    known = {artifact["id"]: artifact for artifact in artifacts}
    wanted = [value for value in ids if isinstance(value, str)] if isinstance(ids, list) else []
    return tuple(known[value] for value in dict.fromkeys(wanted) if value in known)
