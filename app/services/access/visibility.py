"""SQL conditions for what a caller sees. Every query for a caller starts from one."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    SQLColumnExpression,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    false,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from app.db.statements import Prepared
from app.errors import NotFound
from app.models import (
    CheckSet,
    Event,
    Membership,
    Project,
    Run,
    SandboxEnvironment,
    Task,
    User,
    WebhookEndpoint,
)
from app.models.base import given_rows, literal_int
from app.models.tasks import EVERYONE
from app.services.access.principal import Principal

# The organizations of projects, by user and project: only active members of a project have an entry for it.
Memberships = Mapping[tuple[int, int], UUID]
# The id of a user or project in a condition.
_Id = int | SQLColumnExpression[int | None] | None


def audiences_of(user_id: _Id) -> tuple[ColumnElement[int], _Id]:
    """Return the two values of `Task.audience` with which a user sees a task: that of everyone, and their own."""
    return literal_int(EVERYONE), user_id


def is_for_user(user_id: _Id) -> ColumnElement[bool]:
    """Return the SQL condition that a task, deleted or not, is for all of its project, or for this user."""
    return Task.audience.in_(audiences_of(user_id))


# The audience of an event: the audience of its task, which the SELECT joins; without a task, the only user who sees it.
EVENT_AUDIENCE = case((Event.task_id.is_(None), Event.user_id), else_=Task.audience)


def is_audience_of(audience: int | None, user_id: int) -> bool:
    return audience in {EVERYONE, user_id}


def _callers_projects() -> ColumnElement[Sequence[int]]:
    teams = bindparam("visible_teams", type_=ARRAY(BigInteger))
    organizations = bindparam("visible_organizations", type_=ARRAY(Uuid))
    projects = (
        select(Project.id)
        .join(Membership, Membership.project_id == Project.id)
        .where(
            Membership.user_id == _USER,
            or_(func.cardinality(teams) == literal_int(0), Project.id == any_(teams)),
            or_(
                func.cardinality(organizations) == literal_int(0),
                Project.organization_id == any_(organizations),
            ),
        )
    )
    return func.array(projects.scalar_subquery(), type_=ARRAY(BigInteger))


def sees_task(project_id: _Id, user_id: _Id) -> ColumnElement[bool]:
    """Return the SQL condition that a user sees a task of a project. Membership is not checked."""
    return and_(Task.project_id == project_id, is_for_user(user_id), ~Task.deleted)


_USER = bindparam("visible_user_id", type_=BigInteger)
# The ids of the projects that the caller may use through this key; an empty list of teams or organizations does not
# restrict them. That the account is active is not looked up: authentication has done so. For prepared statements;
# `visibility_anywhere` gives the values.
VISIBLE_PROJECTS = _callers_projects()
# The tasks that the caller sees in all of these projects.
VISIBLE_ANYWHERE = sees_task(any_(VISIBLE_PROJECTS), _USER)
# The tasks that the caller sees in the project of the request; `visibility` gives the values.
VISIBLE_TASK = sees_task(bindparam("visible_project_id"), _USER)
# Tasks with an id in the further parameter `ids`, one array: a list would need a statement for each length.
VISIBLE_TASKS = and_(Task.id == any_(bindparam("ids", type_=ARRAY(Uuid))), VISIBLE_TASK)
# One run of one task that the caller sees, with the further parameters `run_id` and `task_id`.
VISIBLE_RUN = and_(Run.id == bindparam("run_id"), Run.task_id == bindparam("task_id"), VISIBLE_TASK)


def visibility_anywhere(principal: Principal) -> dict[str, object]:
    """Return the parameters of `VISIBLE_PROJECTS` and `VISIBLE_ANYWHERE` for a caller, whose account must be active."""
    return {
        "visible_user_id": principal.user_id,
        "visible_teams": list(principal.scoped_teams),
        "visible_organizations": list(principal.scoped_organizations),
    }


def visibility(principal: Principal) -> dict[str, int]:
    """Return the parameters of `VISIBLE_TASK` and, with `run_id` and `task_id` added, of `VISIBLE_RUN`."""
    return {"visible_project_id": principal.project.id, "visible_user_id": principal.user_id}


def visible_task(principal: Principal) -> ColumnElement[bool]:
    return sees_task(principal.project.id, principal.user_id)


def visible_run(principal: Principal, task_id: UUID, run_id: UUID) -> ColumnElement[bool]:
    return and_(Run.id == run_id, Run.task_id == task_id, visible_task(principal))


async def require_task(session: AsyncSession, principal: Principal, task_id: UUID) -> None:
    if await _SEEN_TASK.first(session, {"task_id": task_id, **visibility(principal)}) is None:
        raise NotFound


_SEEN_TASK = Prepared(select(Task.id).where(Task.id == bindparam("task_id"), VISIBLE_TASK))


async def lock_task(session: AsyncSession, principal: Principal, task_id: UUID) -> Task:
    """Return a task that the caller sees, locked after its latest run, without `description` and `json_schema`."""
    is_latest = Run.id == select(Task.latest_run_id).where(Task.id == task_id).scalar_subquery()
    latest = select(Run.id).where(is_latest).with_for_update(key_share=True).cte("latest")
    statement = (
        select(Task)
        # Run before task: the lock order of `status_changes.transition`. The join alone would not give it: its rows are
        # read before any of them is locked.
        .outerjoin(latest, true())
        .where(Task.id == task_id, visible_task(principal))
        # FOR NO KEY UPDATE: rows that refer to the task may still be inserted.
        .with_for_update(of=Task, key_share=True)
        # These may be megabytes, and no rule reads them.
        .options(defer(Task.description, raiseload=True), defer(Task.json_schema, raiseload=True))
    )
    task: Task | None = await session.scalar(statement)
    if task is None:
        raise NotFound
    return task


async def require_run(session: AsyncSession, principal: Principal, task_id: UUID, run_id: UUID) -> None:
    values = {"task_id": task_id, "run_id": run_id, **visibility(principal)}
    if await _SEEN_RUN.first(session, values) is None:
        raise NotFound


_SEEN_RUN = Prepared(select(Run.id).join(Task, Task.id == Run.task_id).where(VISIBLE_RUN))


async def find_visible_runs(
    session: AsyncSession, followed: Collection[tuple[int, UUID]]
) -> set[tuple[int, UUID]]:
    """Return which of these pairs of user and run may still follow; runs of deleted tasks end by themselves."""
    user_ids, run_ids = zip(*followed, strict=True)
    rows = await _FOLLOWED_RUNS.all(session, {"given_user_id": user_ids, "given_run_id": run_ids})
    return set(rows)


async def task_id_of_visible_run(session: AsyncSession, principal: Principal, run_id: UUID) -> UUID:
    row = await _TASK_OF_RUN.first(session, {"run_id": run_id, **visibility(principal)})
    if row is None:
        raise NotFound
    return row[0]


_TASK_OF_RUN = Prepared(
    select(Run.task_id).join(Task, Task.id == Run.task_id).where(Run.id == bindparam("run_id"), VISIBLE_TASK)
)


def visible_environment(principal: Principal) -> ColumnElement[bool]:
    """Return the SQL condition that a sandbox environment of the request's project is shared or the caller's own."""
    return _shared_or_own(principal.project.id, SandboxEnvironment.created_by_id == principal.user_id)


def usable_environment(project_id: _Id, person_id: _Id) -> ColumnElement[bool]:
    """Return the condition for the environments of a run: shared ones, and those of its person, if a member."""
    # `== None` would be IS NULL, and match a private environment that outlived its creator's account.
    is_own = false() if person_id is None else SandboxEnvironment.created_by_id == person_id
    is_members = active_member(SandboxEnvironment.created_by_id, SandboxEnvironment.project_id)
    return _shared_or_own(project_id, and_(is_own, is_members))


def _shared_or_own(project_id: _Id, is_own: ColumnElement[bool]) -> ColumnElement[bool]:
    return and_(SandboxEnvironment.project_id == project_id, or_(~SandboxEnvironment.private, is_own))


def active_member(user_id: _Id, project_id: _Id) -> ColumnElement[bool]:
    """Return the SQL condition that a user's account is active and the user is a member of a project."""
    return (
        select(Membership.user_id)
        .join(User, User.id == Membership.user_id)
        .where(Membership.user_id == user_id, Membership.project_id == project_id, User.is_active)
        .correlate_except(Membership, User)
        .exists()
    )


def _followed_runs_statement() -> Select[int, UUID]:
    pairs = given_rows({"user_id": BigInteger(), "run_id": Uuid()})
    return (
        select(pairs.c.user_id, pairs.c.run_id)
        .join(Run, Run.id == pairs.c.run_id)
        .join(Task, Task.id == Run.task_id)
        .where(is_for_user(pairs.c.user_id), active_member(pairs.c.user_id, Task.project_id))
    )


_FOLLOWED_RUNS = Prepared(_followed_runs_statement())


async def find_memberships(
    session: AsyncSession, user_ids: Collection[int], project_ids: Collection[int]
) -> Memberships:
    """Return the memberships of these users in these projects, except those of inactive users."""
    rows = await _MEMBERSHIPS.all(session, {"user_ids": [*user_ids], "project_ids": [*project_ids]})
    return {(user_id, project_id): organization_id for user_id, project_id, organization_id in rows}


_MEMBERSHIPS = Prepared(
    select(Membership.user_id, Membership.project_id, Project.organization_id)
    .join(User, User.id == Membership.user_id)
    .join(Project, Project.id == Membership.project_id)
    .where(
        Membership.user_id == any_(bindparam("user_ids", type_=ARRAY(BigInteger))),
        Membership.project_id == any_(bindparam("project_ids", type_=ARRAY(BigInteger))),
        User.is_active,
    )
)


def visible_check_set(principal: Principal) -> ColumnElement[bool]:
    return CheckSet.project_id == principal.project.id


async def require_check_set(session: AsyncSession, principal: Principal, set_id: UUID) -> None:
    found = select(CheckSet.id).where(CheckSet.id == set_id, visible_check_set(principal))
    if await session.scalar(found) is None:
        raise NotFound


async def require_environment(session: AsyncSession, principal: Principal, environment_id: UUID) -> None:
    found = select(SandboxEnvironment.id).where(
        SandboxEnvironment.id == environment_id, visible_environment(principal)
    )
    if (await session.scalar(found)) is None:
        raise NotFound


def own_endpoints(principal: Principal) -> ColumnElement[bool]:
    return and_(
        WebhookEndpoint.project_id == principal.project.id, WebhookEndpoint.created_by_id == principal.user_id
    )


def own_endpoint(principal: Principal, endpoint_id: UUID) -> ColumnElement[bool]:
    return and_(WebhookEndpoint.id == endpoint_id, own_endpoints(principal))


async def require_endpoint(session: AsyncSession, principal: Principal, endpoint_id: UUID) -> None:
    if await session.scalar(select(WebhookEndpoint.id).where(own_endpoint(principal, endpoint_id))) is None:
        raise NotFound
