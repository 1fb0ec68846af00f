"""The one door: who is calling, which project they may use, which tasks and runs they may see.

Rows reachable by a caller are fetched only on top of these functions. Not visible is not found (contract 4).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Row, and_, bindparam, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from app.clock import utcnow
from app.enums import Scope
from app.errors import AuthenticationFailed, NotFound, PermissionDenied
from app.models import ApiKey, Membership, Project, Run, SandboxEnvironment, Task, User
from app.models.tasks import EVERYONE
from app.security import hash_api_key
from app.services.access.cache import CallerCache
from app.statements import Fields, Prepared

__all__ = [
    "CURRENT_PROJECT",
    "VISIBLE_RUN",
    "VISIBLE_TASK",
    "Principal",
    "ProjectRef",
    "active_member",
    "authenticate",
    "lock_run",
    "lock_task",
    "require_environment",
    "require_project",
    "require_run",
    "require_scope",
    "require_task",
    "usable_environment",
    "visibility",
    "visible_audiences",
    "visible_environment",
    "visible_projects",
    "visible_task",
]

CURRENT_PROJECT = "@current"

_LAST_USED_RESOLUTION = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ProjectRef:
    """The project of a request, as much of it as every answer needs."""

    id: int
    organization_id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller: a user through one of their keys."""

    user_id: int
    is_staff: bool
    key_id: UUID
    scopes: frozenset[str]
    scoped_teams: tuple[int, ...]
    scoped_organizations: tuple[UUID, ...]
    # The project that the request names, if there is one, and whether the caller is a member of it.
    named_project: ProjectRef | None
    is_member: bool

    @property
    def project(self) -> ProjectRef:
        """The project of a request that passed `require_project`."""
        assert self.named_project is not None
        return self.named_project


async def authenticate(
    session: AsyncSession,
    secret: str,
    *,
    place: str,
    project: int | str | None = None,
    cache: CallerCache[Principal] | None = None,
) -> Principal:
    """Return who holds this key, and the project they name, in one statement.

    Args:
        session: the unit of work of the request.
        secret: the key as it was sent.
        place: where it was found, for the words of the failure.
        project: id of the project in the path, `CURRENT_PROJECT`, or None where the path names none.
        cache: who was found less than a second ago; None asks the database.

    Raises:
        AuthenticationFailed: the key is unknown, revoked, expired, or of an inactive user.

    """
    secret_hash = hash_api_key(secret)
    known = cache.find(secret_hash, project) if cache else None
    if known is not None:
        return known
    asked_at = cache.now() if cache else 0.0
    statement = _ANYWHERE if project is None else _IN_CURRENT if project == CURRENT_PROJECT else _IN_PROJECT
    row = await statement.first(session, {"secret_hash": secret_hash, "project_id": project, "now": utcnow()})
    if row is None:
        raise AuthenticationFailed(place)
    await _note_use(session, row["key_id"], row["last_used_at"])
    principal = _principal(row)
    if cache:
        cache.keep(secret_hash, project, principal, asked_at=asked_at)
    return principal


_CALLER = (
    select(
        ApiKey.id.label("key_id"),
        ApiKey.scopes,
        ApiKey.scoped_teams,
        ApiKey.scoped_organizations,
        ApiKey.last_used_at,
        User.id.label("user_id"),
        User.is_staff,
    )
    .join(User, User.id == ApiKey.user_id)
    .where(
        ApiKey.secret_hash == bindparam("secret_hash"),
        ApiKey.revoked_at.is_(None),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > bindparam("now")),
        User.is_active,
    )
)


def _in_project(wanted: ColumnElement[Any]) -> Prepared:
    return Prepared(
        _CALLER.add_columns(
            Project.id.label("project_id"),
            Project.organization_id,
            Project.name.label("project_name"),
            Membership.user_id.label("member_id"),
        )
        .outerjoin(Project, Project.id == wanted)
        .outerjoin(Membership, and_(Membership.project_id == Project.id, Membership.user_id == User.id))
    )


_ANYWHERE = Prepared(_CALLER)
_IN_PROJECT = _in_project(bindparam("project_id", type_=Project.id.type))
_IN_CURRENT = _in_project(User.current_project_id.expression)


def _principal(row: Fields) -> Principal:
    project = None
    if row.get("project_id") is not None:
        project = ProjectRef(
            id=row["project_id"], organization_id=row["organization_id"], name=row["project_name"]
        )
    return Principal(
        user_id=row["user_id"],
        is_staff=row["is_staff"],
        key_id=row["key_id"],
        scopes=frozenset(row["scopes"] or ()),
        scoped_teams=tuple(row["scoped_teams"]),
        scoped_organizations=tuple(row["scoped_organizations"]),
        named_project=project,
        is_member=project is not None and row["member_id"] is not None,
    )


_NOTE_USE = Prepared(
    update(ApiKey)
    .where(
        ApiKey.id == bindparam("key_id"),
        or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= bindparam("stale_at")),
    )
    .values(last_used_at=bindparam("now", type_=ApiKey.last_used_at.type))
)


async def _note_use(session: AsyncSession, key_id: UUID, last_used_at: datetime | None) -> None:
    """Write `last_used_at` at most hourly (contract 2.2), and keep it even if the request fails afterwards."""
    now = utcnow()
    stale_at = now - _LAST_USED_RESOLUTION
    if last_used_at is not None and last_used_at > stale_at:
        return
    await _NOTE_USE.perform_alone(session, {"key_id": key_id, "stale_at": stale_at, "now": now})


def require_project(principal: Principal) -> ProjectRef:
    """Return the project of the request if the caller may use it (contract 2.1, 2.3).

    Raises:
        NotFound: there is no such project.
        PermissionDenied: the caller is no member, or the key is limited to other projects or organizations.

    """
    project = principal.named_project
    if project is None:
        raise NotFound("Project not found.")
    if not principal.is_member:
        raise PermissionDenied("You don't have access to the project.")
    if principal.scoped_teams and project.id not in principal.scoped_teams:
        raise PermissionDenied(f"API key does not have access to the requested project: ID {project.id}.")
    if principal.scoped_organizations and project.organization_id not in principal.scoped_organizations:
        raise PermissionDenied(
            f"API key does not have access to the requested organization: ID {project.organization_id}."
        )
    return project


def require_scope(principal: Principal, scope: Scope) -> None:
    """Let a key pass that has `scope`; write implies read (contract 2.3).

    Raises:
        PermissionDenied: the key lacks it.

    """
    granted = principal.scopes
    if Scope.ANY in granted or scope in granted:
        return
    subject, _, verb = scope.partition(":")
    if verb == "read" and f"{subject}:write" in granted:
        return
    raise PermissionDenied(f"API key missing required scope '{scope}'")


def visible_projects(principal: Principal) -> ColumnElement[bool]:
    """Return the condition on `Project` that leaves what the caller may use through this key."""
    member = select(Membership.project_id).where(Membership.user_id == principal.user_id)
    conditions: list[ColumnElement[bool]] = [Project.id.in_(member)]
    if principal.scoped_teams:
        conditions.append(Project.id.in_(principal.scoped_teams))
    if principal.scoped_organizations:
        conditions.append(Project.organization_id.in_(principal.scoped_organizations))
    return and_(*conditions)


def visible_audiences(principal: Principal) -> tuple[int, int]:
    """Return the audiences whose tasks the caller sees: everyone's and their own (contract 4, rule 3)."""
    return (EVERYONE, principal.user_id)


def visible_task(principal: Principal) -> ColumnElement[bool]:
    """Return the condition on `Task` that leaves what the caller sees in the project of the request."""
    return and_(
        Task.project_id == principal.project.id,
        Task.audience.in_(visible_audiences(principal)),
        ~Task.deleted,
    )


# The same condition for statements that are built once; its values come from `visibility`.
VISIBLE_TASK = and_(
    Task.project_id == bindparam("visible_project_id"),
    Task.audience.in_([literal(EVERYONE, BigInteger), bindparam("visible_user_id", type_=BigInteger)]),
    ~Task.deleted,
)


def visibility(principal: Principal) -> dict[str, int]:
    """Return the values of `VISIBLE_TASK` for a caller."""
    return {"visible_project_id": principal.project.id, "visible_user_id": principal.user_id}


async def require_task(session: AsyncSession, principal: Principal, task_id: UUID) -> None:
    """Return if the caller sees the task.

    Raises:
        NotFound: there is no such task, or not for this caller.

    """
    if await _SEEN_TASK.first(session, {"task_id": task_id, **visibility(principal)}) is None:
        raise NotFound


_SEEN_TASK = Prepared(select(Task.id).where(Task.id == bindparam("task_id"), VISIBLE_TASK))


async def lock_task(session: AsyncSession, principal: Principal, task_id: UUID) -> Task:
    """Return a task that the caller sees, its row locked against other writers until the transaction ends.

    Raises:
        NotFound: there is no such task, or not for this caller.

    """
    statement = (
        select(Task)
        .where(Task.id == task_id, visible_task(principal))
        # NO KEY UPDATE: rows that refer to the task may still be inserted.
        .with_for_update(key_share=True)
        # What people wrote may be megabytes, and no rule reads it.
        .options(defer(Task.description, raiseload=True), defer(Task.json_schema, raiseload=True))
    )
    task = (await session.execute(statement)).scalar_one_or_none()
    if task is None:
        raise NotFound
    return task


async def require_run(session: AsyncSession, principal: Principal, task_id: UUID, run_id: UUID) -> None:
    """Return if the caller sees the run.

    Raises:
        NotFound: the task is not visible, or the run is not one of its runs.

    """
    values = {"task_id": task_id, "run_id": run_id, **visibility(principal)}
    if await _SEEN_RUN.first(session, values) is None:
        raise NotFound


# The condition on a run and its task that leaves what the caller sees; its values are those of `visibility`, and the ids.
VISIBLE_RUN = and_(Run.id == bindparam("run_id"), Run.task_id == bindparam("task_id"), VISIBLE_TASK)

_SEEN_RUN = Prepared(select(Run.id).join(Task, Task.id == Run.task_id).where(VISIBLE_RUN))


async def lock_run(
    session: AsyncSession, principal: Principal, task_id: UUID, run_id: UUID, *columns: Any
) -> Row[Any]:
    """Return a run that the caller sees, its row locked until the end: status, environment, artifacts and `columns`.

    Raises:
        NotFound: the task is not visible, or the run is not one of its runs.

    """
    statement = (
        select(Run.status, Run.environment, Run.artifacts, *columns)
        .join(Task, Task.id == Run.task_id)
        .where(Run.id == run_id, Run.task_id == task_id, visible_task(principal))
        .with_for_update(of=Run, key_share=True)
    )
    locked = await session.execute(statement)
    run: Row[Any] | None = locked.one_or_none()
    if run is None:
        raise NotFound
    return run


def visible_environment(principal: Principal) -> ColumnElement[bool]:
    """Return the condition on `SandboxEnvironment` that leaves the project's shared ones and the caller's own."""
    return usable_environment(principal.project.id, principal.user_id)


def usable_environment(project_id: int, user_id: int | None) -> ColumnElement[bool]:
    """Return the same condition for any member of a project; None is nobody in particular."""
    return and_(
        SandboxEnvironment.project_id == project_id,
        or_(~SandboxEnvironment.private, SandboxEnvironment.created_by_id == user_id),
    )


def active_member(user_id: Any, project_id: Any) -> ColumnElement[bool]:
    """Return the condition that an account, by its id or a column, is active and a member of the project."""
    return (
        select(Membership.user_id)
        .join(User, User.id == Membership.user_id)
        .where(Membership.user_id == user_id, Membership.project_id == project_id, User.is_active)
        .correlate_except(Membership, User)
        .exists()
    )


async def require_environment(session: AsyncSession, principal: Principal, environment_id: UUID) -> None:
    """Return if the caller may use the sandbox environment.

    Raises:
        NotFound: there is none, or it is another user's own.

    """
    found = select(SandboxEnvironment.id).where(
        SandboxEnvironment.id == environment_id, visible_environment(principal)
    )
    if (await session.scalar(found)) is None:
        raise NotFound
