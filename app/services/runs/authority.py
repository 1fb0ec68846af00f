"""The one rule of who may have a run act: with which GitHub account, in which sandbox environment, at which allowance.

Every way asks here, and is answered alike (contract 2.4, 5.8 steps 3, 6 and 7, 9.2, 13.3, 13.17):

    way       who asks                              another member's account       another's private environment
    CREATE    `run`, `POST runs`                    refused                        refused, dropped if inherited
    FOLLOW    a failed check, as the person of      the project's account          dropped
              the run that it follows
    PERFORM   `start`, `resume_in_cloud`            refused                        refused
    STEER     commands, PATCHes the agent feels     refused                        refused

A run that got something of a person's own keeps who asked for it, and the task as it stood then (`Run.asked_by_id`,
`Run.asked_task`): it does what that person asked for, whatever others make of the task until a worker has it. Everyone
who sees a run may stop it. The worker asks again whether the person is still there when it takes a token
(services/code_hosts/credentials.py) or an environment (worker/run/sandbox.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Row,
    ScalarSelect,
    Text,
    case,
    cast,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import release
from app.enums import PrAuthorshipMode
from app.errors import InvalidInput, RunRefused, StateRefused
from app.models import Integration, Run, RunCredential, SandboxEnvironment, Task, UserIntegration
from app.schemas.runs.runs import RunIn
from app.services import usage_gates
from app.services.access.principal import Principal
from app.services.access.visibility import active_member, require_run, require_task, usable_environment
from app.services.runs.credentials import CALLER_TOKEN, CREDENTIAL_SOURCE, LINKED_ACCOUNT
from app.services.tasks.references import GITHUB
from app.services.usage_gates import UsageGate

_NOT_THE_CREATOR = "User-authored runs must be started by the task creator, or provide github_user_token."
_NO_ACCOUNT = "Link a GitHub account with repo access before running user-authored cloud tasks."
_ACCOUNT_OF_ANOTHER = "This run acts with another member's GitHub account: only they can steer it."
_ENVIRONMENT_OF_ANOTHER = (
    "This run is in another member's private sandbox environment: only they can steer it."
)
_INVALID_ENVIRONMENT = "Invalid sandbox_environment_id"

_AUTHORSHIP: Final = "pr_authorship_mode"
# What the task itself says to an agent, to the commit and to the code host.
_WORDS = (
    Task.title,
    Task.description,
    Task.json_schema,
    Task.ci_prompt,
    Task.repository,
    Task.github_integration_id,
    Task.github_user_integration_id,
)


class Way(Enum):
    """How a person has a run act."""

    CREATE = auto()
    FOLLOW = auto()
    PERFORM = auto()
    STEER = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Who wants a run to act, and with what."""

    way: Way
    project_id: int
    asker_id: int | None
    task_creator_id: int | None
    authorship: str | None = None
    # The request itself brings a token, or names the environment.
    brings_token: bool = False
    names_environment: bool = False
    environment_id: UUID | None = None
    # Who asked for the run that is there already, and whether it holds their account now.
    holder_id: int | None = None
    holds_account: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """What a run may act with."""

    asker_id: int | None
    # Keys of the run's state that name the account.
    account: Mapping[str, str] = field(default_factory=dict)
    environment_id: UUID | None = None
    # Whether the run gets something that is the asker's alone.
    is_personal: bool = False

    @property
    def state(self) -> dict[str, str]:
        """What the state of a new run says of it."""
        environment = (
            {} if self.environment_id is None else {"sandbox_environment_id": str(self.environment_id)}
        )
        return {**self.account, **environment}


async def require_allowance(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    *,
    gates: Sequence[UsageGate],
    run_id: UUID | None = None,
) -> None:
    """Return if no gate objects to another performance of a task, or of its run, by workers.

    Asked before anything is locked: the session's transaction is over afterwards, no connection is held meanwhile.

    Raises:
        NotFound: there is no such task or run for this caller.
        UsageLimitExceeded: the project is over a limit.

    """
    if not gates:
        return
    if run_id is None:
        await require_task(session, caller, task_id)
    else:
        await require_run(session, caller, task_id, run_id)
    await release(session)
    await usage_gates.require_allowance(gates, project_id=caller.project.id, user_id=caller.user_id)


async def authorize(session: AsyncSession, ask: Ask) -> Authority:
    """Return what a run may act with when this person asks in this way.

    Raises:
        InvalidInput: the run would act with a GitHub account that is not the asker's, or there is none.
        RunRefused: the environment is not the asker's to use.
        StateRefused: the same, of a run that is only steered.

    """
    account = await _account(session, ask)
    environment_id, is_private = await _environment(session, ask)
    is_user = account.get(_AUTHORSHIP, ask.authorship) == PrAuthorshipMode.USER
    return Authority(
        asker_id=ask.asker_id,
        account=account,
        environment_id=environment_id,
        is_personal=is_user or is_private,
    )


async def _account(session: AsyncSession, ask: Ask) -> Mapping[str, str]:
    """Return the keys of state that name the account; none if the request asks for no person's (contract 13.3)."""
    if ask.authorship != PrAuthorshipMode.USER:
        return {}
    if ask.brings_token:
        return {CREDENTIAL_SOURCE: CALLER_TOKEN}
    if ask.holds_account:
        if ask.asker_id != ask.holder_id:
            raise _unauthorized(_ACCOUNT_OF_ANOTHER if ask.way is Way.STEER else _NOT_THE_CREATOR)
        return {} if ask.way is Way.STEER else {CREDENTIAL_SOURCE: CALLER_TOKEN}
    is_creator = ask.asker_id is not None and ask.asker_id == ask.task_creator_id
    if not is_creator and ask.way is not Way.FOLLOW:
        raise _unauthorized(_NOT_THE_CREATOR)
    if is_creator and await _has_linked_account(session, ask):
        return {CREDENTIAL_SOURCE: LINKED_ACCOUNT}
    if ask.way is Way.FOLLOW or await _has_integration(session, ask):
        return {_AUTHORSHIP: PrAuthorshipMode.BOT}
    raise _unauthorized(_NO_ACCOUNT)


async def _has_linked_account(session: AsyncSession, ask: Ask) -> bool:
    linked = select(UserIntegration.id).where(
        UserIntegration.user_id == ask.asker_id,
        UserIntegration.kind == GITHUB,
        active_member(ask.asker_id, ask.project_id),
    )
    return await session.scalar(linked.limit(1)) is not None


async def _has_integration(session: AsyncSession, ask: Ask) -> bool:
    team = select(Integration.id).where(Integration.project_id == ask.project_id, Integration.kind == GITHUB)
    return await session.scalar(team.limit(1)) is not None


async def _environment(session: AsyncSession, ask: Ask) -> tuple[UUID | None, bool]:
    """Return the environment that the run gets, and whether it is the asker's alone (contract 5.8 step 7, 9.2)."""
    if ask.environment_id is None:
        return None, False
    is_it = SandboxEnvironment.id == ask.environment_id
    usable = select(SandboxEnvironment.private).where(
        is_it,
        usable_environment(ask.project_id, ask.asker_id),
        or_(~SandboxEnvironment.private, active_member(ask.asker_id, ask.project_id)),
    )
    is_private = await session.scalar(usable)
    if is_private is not None:
        return ask.environment_id, is_private
    match ask.way:
        case Way.CREATE if ask.names_environment:
            raise RunRefused(_INVALID_ENVIRONMENT)
        case Way.CREATE | Way.FOLLOW:
            return None, False
        case Way.PERFORM | Way.STEER:
            # One that was deleted may have been anybody's own; the worker refuses to do without it.
            is_gone = await session.scalar(select(SandboxEnvironment.id).where(is_it)) is None
            if is_gone and ask.asker_id == ask.holder_id:
                return ask.environment_id, True
            if ask.way is Way.STEER:
                raise StateRefused(_ENVIRONMENT_OF_ANOTHER)
            raise RunRefused(_INVALID_ENVIRONMENT)


def _unauthorized(detail: str) -> InvalidInput:
    return InvalidInput(detail, code="github_authorization_required", attr=_AUTHORSHIP)


def ask_of_new(
    caller: Principal, task: Task, body: RunIn, state: Mapping[str, Any], environment_id: UUID | None
) -> Ask:
    """Return what is asked of a run that a request creates with this state."""
    return Ask(
        way=Way.CREATE,
        project_id=task.project_id,
        asker_id=caller.user_id,
        task_creator_id=task.created_by_id,
        authorship=state.get(_AUTHORSHIP),
        brings_token=body.github_user_token is not None,
        names_environment=body.sandbox_environment_id is not None,
        environment_id=environment_id,
    )


# What `ask_of` reads of a run and its task, for `access.lock_run`.
HOLDINGS: tuple[Any, ...] = (
    Task.project_id,
    Task.created_by_id,
    Run.asked_by_id,
    Run.sandbox_environment_id,
    Run.state[_AUTHORSHIP].astext.label("authorship"),
    select(RunCredential.run_id).where(RunCredential.run_id == Run.id).exists().label("has_token"),
)


def ask_of(way: Way, asker_id: int | None, run: Row[Any]) -> Ask:
    """Return what is asked of a run that is there; the row holds `HOLDINGS`."""
    return Ask(
        way=way,
        project_id=run.project_id,
        asker_id=asker_id,
        task_creator_id=run.created_by_id,
        authorship=run.authorship,
        environment_id=run.sandbox_environment_id,
        holder_id=person(run),
        # A run that is to be performed has its account looked up again, unless it still has the token it came with.
        holds_account=way is Way.STEER or (way is Way.PERFORM and run.has_token),
    )


async def record(session: AsyncSession, run_id: UUID, task_id: UUID, authority: Authority) -> None:
    """Note by whom, and for what, a run that was there already is to be performed; its row is locked."""
    values: dict[str, Any] = {
        "asked_by_id": authority.asker_id,
        "asked_task": task_now(task_id) if authority.is_personal else None,
    }
    if authority.account:
        values["state"] = Run.state.op("-")(cast(CREDENTIAL_SOURCE, Text)).op("||")(dict(authority.account))
    await session.execute(update(Run).where(Run.id == run_id).values(values))


def task_now(task_id: UUID) -> ScalarSelect[Any]:
    """Return what the task says now, for `Run.asked_task`; it may be megabytes and does not leave the database."""
    pairs = [part for word in _WORDS for part in (cast(word.key, Text), word)]
    return select(func.jsonb_build_object(*pairs, type_=JSONB)).where(Task.id == task_id).scalar_subquery()


def as_asked(word: Any) -> ColumnElement[Any]:
    """Return what a run goes by in place of a column of its task: what that was when the run was asked for."""
    kept = Run.asked_task[word.key]
    if not isinstance(word.type, JSON):
        kept = cast(kept.astext, word.type)
    chosen: ColumnElement[Any] = case((Run.asked_task.is_(None), word), else_=kept)
    return chosen.label(word.key)


def task_as_asked(run_id: UUID, task_id: UUID) -> ScalarSelect[Any]:
    """Return what a run goes by, for the `asked_task` of one that follows it as the same person."""
    kept = func.coalesce(Run.asked_task, task_now(task_id), type_=JSONB)
    return select(kept).where(Run.id == run_id).scalar_subquery()


def person_of() -> ColumnElement[int]:
    """Return the person that a run acts for, with their account and environment; beside its task.

    Runs of the first releases do not say who asked: those act as the task's creator.
    """
    return func.coalesce(Run.asked_by_id, Task.created_by_id, type_=BigInteger)


def person(run: Row[Any]) -> int | None:
    """Return the same of a row that holds `HOLDINGS`."""
    asked_by_id: int | None = run.asked_by_id
    created_by_id: int | None = run.created_by_id
    return created_by_id if asked_by_id is None else asked_by_id
