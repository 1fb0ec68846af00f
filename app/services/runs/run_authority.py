"""Decide who may make a run act, and with which GitHub account and sandbox environment.

Every request that creates or steers a run is decided here (contract 2.4, 5.8 steps 3, 6 and 7, 9.2, 13.3, 13.17):

    intent    request                               another member's account       another's private environment
    CREATE    `run`, `POST runs`                    refused                        refused, dropped if inherited
    FOLLOW    a failed check, as the person of      the project's account          dropped
              the run that it follows
    PERFORM   `start`, `resume_in_cloud`            refused                        refused
    STEER     commands, PATCHes the agent feels     refused                        refused

A run whose request named MCP servers is treated like a run in a private environment until it is over.

A run that uses a person's own account or environment is personal: it keeps the id of that person (`Run.asked_by_id`)
and a snapshot of the task (`Run.asked_task`) from that person's first request. Later edits of the task, which another
member may have made, do not change such a run, even if that person starts or resumes it later. Every member who can
see a run may stop it. The worker checks again that the person is still a member when it takes a token
(services/code_hosts/host_credentials.py) or an environment (worker/run/run_context_loader.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import JSON, BigInteger, ColumnElement, ScalarSelect, Text, case, cast, func, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.clock import utcnow
from app.db import release
from app.db.statements import Prepared
from app.enums import CodeHostKind, Environment, PrAuthorshipMode, RunStatus
from app.errors import InvalidInput, NotFound, RunRefused, StateRefused, unknown_key
from app.models import Integration, Run, RunCredential, SandboxEnvironment, Task, UserIntegration
from app.models.runs.run_facts import (
    AGENT_ENDED,
    AUTHORSHIP,
    CALLER_TOKEN,
    CREDENTIAL_SOURCE,
    LINKED_ACCOUNT,
    SANDBOX_ENVIRONMENT,
)
from app.models.runs.run_transitions import PHASE, RunPhase
from app.schemas.runs.run import RunIn
from app.schemas.runs.verifications import VerificationOut
from app.schemas.staged_artifacts import ArtifactOut
from app.services.access import usage_gates
from app.services.access.principal import Principal
from app.services.access.usage_gates import UsageGate
from app.services.access.visibility import (
    VISIBLE_RUN,
    active_member,
    require_run,
    require_task,
    usable_environment,
    visibility,
)

_NOT_THE_CREATOR = "User-authored runs must be started by the task creator, or provide github_user_token."
_NO_ACCOUNT = "Link a GitHub account with repo access before running user-authored cloud tasks."
_ACCOUNT_OF_ANOTHER = "This run acts with another member's GitHub account: only they can steer it."
_ENVIRONMENT_OF_ANOTHER = (
    "This run is in another member's private sandbox environment: only they can steer it."
)
_SERVERS_OF_ANOTHER = "This run has MCP servers of another member: only they can steer it."
_INVALID_ENVIRONMENT = "Invalid sandbox_environment_id"

# The columns of a task that reach the agent, the commit or the code host.
_WORDS = (
    Task.title,
    Task.description,
    Task.json_schema,
    Task.acceptance,
    Task.ci_prompt,
    Task.repository,
    Task.github_integration_id,
    Task.github_user_integration_id,
)


class Intent(Enum):
    """The action that a caller requests of a run: create it, follow it up, have a worker perform it, or steer it."""

    CREATE = auto()
    FOLLOW = auto()
    PERFORM = auto()
    STEER = auto()


class Holdings(NamedTuple):
    """A run and its task, as far as they decide who may make the run act. The columns are `HOLDINGS`."""

    project_id: int
    created_by_id: int | None
    asked_by_id: int | None
    sandbox_environment_id: UUID | None
    authorship: str | None
    has_token: bool
    has_servers: bool

    @property
    def person_id(self) -> int | None:
        """The person that the run acts for: the one who asked for it, else the creator of its task."""
        return self.created_by_id if self.asked_by_id is None else self.asked_by_id


HOLDINGS: tuple[Any, ...] = (
    Task.project_id,
    Task.created_by_id,
    Run.asked_by_id,
    Run.sandbox_environment_id,
    Run.state[AUTHORSHIP].astext.label("authorship"),
    select(RunCredential.run_id).where(RunCredential.run_id == Run.id).exists().label("has_token"),
    Run.encrypted_mcp_servers.is_not(None).label("has_servers"),
)


@dataclass(frozen=True, slots=True)
class _Request:
    intent: Intent
    asker_id: int | None
    run: Holdings
    # Whether the request that creates the run contains a GitHub token, or names the sandbox environment.
    brings_token: bool = False
    names_environment: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The person that a run acts for, its GitHub account, and its sandbox environment."""

    asker_id: int | None
    # Keys of the run's state that name the account.
    account: Mapping[str, str]
    environment_id: UUID | None
    # Whether the account, the environment or MCP servers are the asker's own.
    is_personal: bool

    @property
    def state(self) -> dict[str, str]:
        """The entries of a new run's state that name its GitHub account and sandbox environment."""
        environment = {} if self.environment_id is None else {SANDBOX_ENVIRONMENT: str(self.environment_id)}
        return {**self.account, **environment}


async def require_task_allowance(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    *,
    gates: Sequence[UsageGate],
    run_id: UUID | None = None,
) -> None:
    """Check that all usage gates allow a run of this task. It commits: call it before any row is locked."""
    if not gates:
        return
    if run_id is None:
        await require_task(session, caller, task_id)
    else:
        await require_run(session, caller, task_id, run_id)
    await release(session)
    await usage_gates.ask_gates(gates, project_id=caller.project.id, user_id=caller.user_id)


async def _authorize(session: AsyncSession, request: _Request) -> Authority:
    account = await _account(session, request)
    environment_id, is_private = await _environment(session, request)
    is_user = account.get(AUTHORSHIP, request.run.authorship) == PrAuthorshipMode.USER
    return Authority(
        asker_id=request.asker_id,
        account=account,
        environment_id=environment_id,
        is_personal=is_user or is_private or request.run.has_servers,
    )


async def _account(session: AsyncSession, request: _Request) -> Mapping[str, str]:
    run = request.run
    if run.authorship != PrAuthorshipMode.USER:
        return {}
    if request.brings_token:
        return {CREDENTIAL_SOURCE: CALLER_TOKEN}
    is_steered = request.intent is Intent.STEER
    # For PERFORM the account is looked up again, unless the run still has the token of its creation.
    if is_steered or (request.intent is Intent.PERFORM and run.has_token):
        if request.asker_id != run.person_id:
            raise _unauthorized(_ACCOUNT_OF_ANOTHER if is_steered else _NOT_THE_CREATOR)
        return {} if is_steered else {CREDENTIAL_SOURCE: CALLER_TOKEN}
    is_creator = request.asker_id is not None and request.asker_id == run.created_by_id
    if not is_creator and request.intent is not Intent.FOLLOW:
        raise _unauthorized(_NOT_THE_CREATOR)
    if is_creator and await _has_linked_account(session, request):
        return {CREDENTIAL_SOURCE: LINKED_ACCOUNT}
    if request.intent is Intent.FOLLOW or await _has_integration(session, request):
        return {AUTHORSHIP: PrAuthorshipMode.BOT}
    raise _unauthorized(_NO_ACCOUNT)


async def _has_linked_account(session: AsyncSession, request: _Request) -> bool:
    linked = select(UserIntegration.id).where(
        UserIntegration.user_id == request.asker_id,
        UserIntegration.kind == CodeHostKind.GITHUB,
        active_member(request.asker_id, request.run.project_id),
    )
    return await session.scalar(linked.limit(1)) is not None


async def _has_integration(session: AsyncSession, request: _Request) -> bool:
    team = select(Integration.id).where(
        Integration.project_id == request.run.project_id, Integration.kind == CodeHostKind.GITHUB
    )
    return await session.scalar(team.limit(1)) is not None


async def _environment(session: AsyncSession, request: _Request) -> tuple[UUID | None, bool]:
    run = request.run
    if run.sandbox_environment_id is None:
        return None, False
    is_named = SandboxEnvironment.id == run.sandbox_environment_id
    usable = select(SandboxEnvironment.private).where(
        is_named, usable_environment(run.project_id, request.asker_id)
    )
    is_private = await session.scalar(usable)
    if is_private is not None:
        return run.sandbox_environment_id, is_private
    match request.intent:
        case Intent.CREATE if request.names_environment:
            raise RunRefused(_INVALID_ENVIRONMENT)
        case Intent.CREATE | Intent.FOLLOW:
            return None, False
        case Intent.PERFORM | Intent.STEER:
            # A deleted environment may have been private to any member. A worker does not perform the run without it.
            is_gone = await session.scalar(select(SandboxEnvironment.id).where(is_named)) is None
            if is_gone and request.asker_id == run.person_id:
                return run.sandbox_environment_id, True
            if request.intent is Intent.STEER:
                raise StateRefused(_ENVIRONMENT_OF_ANOTHER)
            raise RunRefused(_INVALID_ENVIRONMENT)


async def require_usable_environment(session: AsyncSession, caller: Principal, environment_id: UUID) -> None:
    usable = select(SandboxEnvironment.id).where(
        SandboxEnvironment.id == environment_id, usable_environment(caller.project.id, caller.user_id)
    )
    if await session.scalar(usable) is None:
        raise unknown_key(environment_id, attr=SANDBOX_ENVIRONMENT)


def _unauthorized(detail: str) -> InvalidInput:
    return InvalidInput(detail, code="github_authorization_required", attr=AUTHORSHIP)


async def authorize_new_run(
    session: AsyncSession,
    caller: Principal,
    task: Task,
    body: RunIn,
    *,
    authorship: str | None,
    environment_id: UUID | None,
) -> Authority:
    """Decide which GitHub account and sandbox environment a run that the caller creates may use."""
    run = Holdings(
        project_id=task.project_id,
        created_by_id=task.created_by_id,
        asked_by_id=caller.user_id,
        sandbox_environment_id=environment_id,
        authorship=authorship,
        has_token=False,
        has_servers=False,
    )
    request = _Request(
        Intent.CREATE,
        caller.user_id,
        run,
        brings_token=body.github_user_token is not None,
        names_environment=body.sandbox_environment_id is not None,
    )
    return await _authorize(session, request)


class LockedRun(NamedTuple):
    status: RunStatus
    environment: Environment
    artifacts: list[ArtifactOut]
    dispatch_requested_at: datetime | None
    lease_expires_at: datetime | None
    agent_has_ended: bool
    phase: RunPhase
    verification: VerificationOut | None
    holdings: Holdings

    @property
    def has_open_attempt(self) -> bool:
        """Whether an attempt to check its work is open, which may be a later one of a run that is over."""
        return self.verification is not None and self.verification["verdict"] is None


_LOCK = Prepared(
    select(
        Run.status,
        Run.environment,
        Run.artifacts,
        Run.dispatch_requested_at,
        Run.lease_expires_at,
        Run.facts.has_key(AGENT_ENDED).label("agent_has_ended"),
        PHASE,
        Run.verification,
        *HOLDINGS,
    )
    .join(Task, Task.id == Run.task_id)
    .where(VISIBLE_RUN)
    .with_for_update(of=Run, key_share=True),
    LockedRun,
)


async def lock_run(session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID) -> LockedRun:
    run = await _LOCK.first(session, {"task_id": task_id, "run_id": run_id, **visibility(caller)})
    if run is None:
        raise NotFound
    return run


async def authorize_run(
    session: AsyncSession, intent: Intent, asker_id: int | None, run: Holdings
) -> Authority:
    """Decide which GitHub account and sandbox environment an existing run may use for what a person asks of it."""
    if run.has_servers and asker_id != run.person_id:
        raise StateRefused(_SERVERS_OF_ANOTHER)
    return await _authorize(session, _Request(intent, asker_id, run))


async def lock_to_steer(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, *, is_stop: bool = False
) -> LockedRun:
    """Lock a run with a live agent that the caller may steer; to stop it, seeing it is enough. Raises StateRefused."""
    run = await lock_run(session, caller, task_id, run_id)
    is_held = run.lease_expires_at is not None and run.lease_expires_at > utcnow()
    if not is_held or run.environment is not Environment.CLOUD or run.agent_has_ended:
        raise StateRefused("No active sandbox for this task run")
    if not is_stop:
        await authorize_run(session, Intent.STEER, caller.user_id, run.holdings)
    return run


async def record(session: AsyncSession, run_id: UUID, task_id: UUID, authority: Authority) -> None:
    """Store the person and the GitHub account that an existing run acts with.

    The caller holds the lock on the run's row. If the account or the sandbox environment is the person's own, the run
    keeps its snapshot of the task, or gets one if it has none or acted for another person before. If not, a snapshot
    that the run has is deleted.
    """
    # The first snapshot for this person stays: they may not have read what other members wrote later.
    kept = case((Run.asked_by_id == authority.asker_id, Run.asked_task), else_=None)
    snapshot = func.coalesce(kept, _task_snapshot(task_id), type_=JSONB)
    values: dict[str, object] = {
        "asked_by_id": authority.asker_id,
        "asked_task": snapshot if authority.is_personal else None,
    }
    if authority.account:
        values["state"] = Run.state.op("-")(cast(CREDENTIAL_SOURCE, Text)).op("||")(dict(authority.account))
    await session.execute(update(Run).where(Run.id == run_id).values(values))


async def freeze_task(
    session: AsyncSession, run_id: UUID, task_id: UUID, *, previous_id: UUID | None = None
) -> None:
    """Store a snapshot of the task with a new run: that of the run `previous_id`, or else of the task as it is now."""
    snapshot: ColumnElement[Any] = _task_snapshot(task_id)
    if previous_id is not None:
        previous = aliased(Run)
        kept = select(previous.asked_task).where(previous.id == previous_id).scalar_subquery()
        snapshot = func.coalesce(kept, snapshot, type_=JSONB)
    await session.execute(update(Run).where(Run.id == run_id).values(asked_task=snapshot))


def _task_snapshot(task_id: UUID) -> ScalarSelect[Any]:
    pairs = [part for word in _WORDS for part in (cast(word.key, Text), word)]
    return select(func.jsonb_build_object(*pairs, type_=JSONB)).where(Task.id == task_id).scalar_subquery()


def frozen_or_current(column: Any) -> ColumnElement[Any]:
    """Return the SQL expression for a column of a task, with the value that the run's snapshot of the task has."""
    kept = Run.asked_task[column.key]
    if not isinstance(column.type, JSON):
        kept = cast(kept.astext, column.type)
    chosen: ColumnElement[Any] = case((Run.asked_task.is_(None), column), else_=kept)
    return chosen.label(column.key)


def person_of() -> ColumnElement[int]:
    """Return the SQL expression for the id of the person that a run acts for, in a statement with `Run` and `Task`."""
    return func.coalesce(Run.asked_by_id, Task.created_by_id, type_=BigInteger)
