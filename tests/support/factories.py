"""Rows for tests, written through the models. Every factory takes the session first, flushes, and commits nothing.

What a test does not name gets a value that cannot collide with another test's.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import bindparam, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db.statements import Prepared
from app.enums import TERMINAL_STATUSES, Environment, NetworkAccessLevel, OriginProduct, RunStatus, Scope
from app.ids import new_hex_id, new_id
from app.models import (
    ApiKey,
    Base,
    Integration,
    Membership,
    Organization,
    Project,
    Run,
    SandboxEnvironment,
    SignalReport,
    StagedArtifact,
    Task,
    TaskCounter,
    User,
    UserIntegration,
)
from app.security.secrets import hash_api_key, mask_api_key, new_api_key, new_project_token

Row = TypeVar("Row", bound=Base)

# Constants, which are put together but once: tests make thousands of tasks and runs.
_COUNTERS, _RUNS, _TASKS = (Base.metadata.tables[model.__tablename__] for model in (TaskCounter, Run, Task))
_NEXT_NUMBER = Prepared(
    upsert(_COUNTERS)
    .values(project_id=bindparam("project"), next_number=1)
    .on_conflict_do_update(
        index_elements=[_COUNTERS.c.project_id], set_={"next_number": _COUNTERS.c.next_number + 1}
    )
    .returning(_COUNTERS.c.next_number - 1)
)
_LATEST_RUN = (
    select(_RUNS.c.id)
    .where(_RUNS.c.task_id == bindparam("task"))
    .order_by(_RUNS.c.created_at.desc(), _RUNS.c.id.desc())
    .limit(1)
)
_NOTE_LATEST_RUN = Prepared(
    update(_TASKS)
    .where(_TASKS.c.id == _RUNS.c.task_id, _RUNS.c.id == _LATEST_RUN.scalar_subquery())
    .values(latest_run_id=_RUNS.c.id, latest_run_status=_RUNS.c.status)
)


async def added(session: AsyncSession, row: Row) -> Row:
    """Add a row to the session, flush, and return it."""
    session.add(row)
    await session.flush()
    return row


async def make_organization(session: AsyncSession, *, name: str = "Test Organization") -> Organization:
    return await added(session, Organization(id=new_id(), name=name, created_at=utcnow()))


async def make_project(
    session: AsyncSession, *, organization: Organization | None = None, name: str = "Test Team"
) -> Project:
    organization = organization or await make_organization(session)
    return await added(
        session,
        Project(
            uuid=new_id(),
            organization_id=organization.id,
            name=name,
            api_token=new_project_token(),
            created_at=utcnow(),
        ),
    )


async def make_user(
    session: AsyncSession, *, projects: Sequence[Project] = (), is_active: bool = True, **overrides: Any
) -> User:
    """Make a user who is a member of `projects`; the first one is their current project."""
    unique = new_hex_id()
    values: dict[str, Any] = {
        "uuid": new_id(),
        "distinct_id": unique,
        "email": f"{unique}@example.com",
        "first_name": "Test",
        "last_name": "User",
        "is_active": is_active,
        "is_staff": False,
        "current_project_id": projects[0].id if projects else None,
        "date_joined": utcnow(),
    }
    user = User(**(values | overrides))
    session.add(user)
    await session.flush()
    for project in projects:
        session.add(Membership(user_id=user.id, project_id=project.id, created_at=utcnow()))
    await session.flush()
    return user


async def make_key(
    session: AsyncSession,
    *,
    user: User,
    scopes: Sequence[str] | None = (Scope.ANY,),
    projects: Sequence[int] = (),
    organizations: Sequence[UUID] = (),
    last_used_at: datetime | None = None,
    revoked_at: datetime | None = None,
    expires_at: datetime | None = None,
) -> str:
    """Make a personal API key and return its value, which the database does not hold."""
    value = new_api_key()
    key = ApiKey(
        id=new_id(),
        user_id=user.id,
        secret_hash=hash_api_key(value),
        mask=mask_api_key(value),
        scopes=None if scopes is None else list(scopes),
        scoped_teams=list(projects),
        scoped_organizations=list(organizations),
        created_at=utcnow(),
        last_used_at=last_used_at,
        revoked_at=revoked_at,
        expires_at=expires_at,
    )
    session.add(key)
    await session.flush()
    return value


async def make_task(
    session: AsyncSession, *, project: Project, created_by: User | None, **overrides: Any
) -> Task:
    """Make a task with the project's next number; `created_by` None stands for an account that was deleted."""
    now = overrides.get("created_at") or utcnow()
    values: dict[str, Any] = {
        "id": new_id(),
        "project_id": project.id,
        "created_by_id": created_by.id if created_by else None,
        "title": "A task",
        "title_manually_set": True,
        "description": "",
        "origin_product": OriginProduct.USER_CREATED,
        "repository": None,
        "internal": False,
        "archived": False,
        "created_at": now,
        "updated_at": now,
        "last_activity_at": now,
        "deleted": False,
        "archived_at": now if overrides.get("archived") else None,
        "deleted_at": now if overrides.get("deleted") else None,
    }
    if "task_number" not in overrides:
        values["task_number"] = await _next_number(session, project)
    return await added(session, Task(**(values | overrides)))


_COPY = text("""
INSERT INTO tasks (
    id, task_number, repository, project_id, created_by_id, title, title_manually_set, description, origin_product,
    internal, archived, created_at, updated_at, last_activity_at, deleted, verdict_urgency
)
SELECT
    gen_random_uuid(), 1000 + n, 'acme/' || lpad(n::text, 5, '0'), project_id, created_by_id, title, true, '',
    origin_product, internal, archived, created_at, updated_at, last_activity_at, deleted, verdict_urgency
FROM tasks, generate_series(1, :count) n WHERE id = :task
""")


async def make_copies(session: AsyncSession, task: Task, count: int) -> None:
    """Make tasks like this one, each with a repository of its own."""
    _ = await session.execute(_COPY, {"task": task.id, "count": count})


async def _next_number(session: AsyncSession, project: Project) -> int:
    number: int
    (number,) = await _NEXT_NUMBER.one(session, {"project": project.id})
    return number


async def make_run(
    session: AsyncSession, *, task: Task, status: RunStatus = RunStatus.QUEUED, **overrides: Any
) -> Run:
    """Make a run and update the task's copy of its latest run, the one with the greatest (created_at, id)."""
    now = overrides.get("created_at") or utcnow()
    values: dict[str, Any] = {
        "id": new_id(),
        "task_id": task.id,
        "project_id": task.project_id,
        "status": status,
        "environment": Environment.CLOUD,
        "state": {"mode": "background"},
        "artifacts": [],
        "created_at": now,
        "updated_at": now,
        "completed_at": now if status in TERMINAL_STATUSES else None,
        "attempts": 0,
    }
    run = Run(**(values | overrides))
    session.add(run)
    await session.flush()
    await _NOTE_LATEST_RUN.perform(session, {"task": task.id})
    return run


async def make_integration(
    session: AsyncSession, *, project: Project, kind: str = "github", **overrides: Any
) -> Integration:
    return await added(
        session, Integration(project_id=project.id, kind=kind, created_at=utcnow(), **overrides)
    )


async def make_user_integration(
    session: AsyncSession, *, user: User, kind: str = "github"
) -> UserIntegration:
    return await added(session, UserIntegration(id=new_id(), user_id=user.id, kind=kind, created_at=utcnow()))


async def make_sandbox_environment(
    session: AsyncSession, *, project: Project, created_by: User | None, **overrides: Any
) -> SandboxEnvironment:
    """Make a sandbox environment, private and with the API's defaults unless overridden."""
    now = utcnow()
    values: dict[str, Any] = {
        "id": new_id(),
        "project_id": project.id,
        "created_by_id": created_by.id if created_by else None,
        "name": "An environment",
        "network_access_level": NetworkAccessLevel.TRUSTED,
        "allowed_domains": [],
        "include_default_domains": False,
        "repositories": [],
        "encrypted_variables": {},
        "private": True,
        "created_at": now,
        "updated_at": now,
    }
    return await added(session, SandboxEnvironment(**(values | overrides)))


async def make_staged_artifact(
    session: AsyncSession, *, task: Task, path: str, lifetime: timedelta = timedelta(hours=24)
) -> None:
    """Make the row of a staged file of five bytes that was uploaded to `path` now."""
    values = {"name": "a.txt", "type": "user_attachment", "source": "", "size": 5, "content_type": ""}
    times = {"uploaded_at": utcnow(), "expires_at": utcnow() + lifetime}
    artifact_id = path.split("/")[-2]
    session.add(
        StagedArtifact(task_id=task.id, artifact_id=artifact_id, storage_path=path, **values, **times)
    )
    await session.flush()


async def make_signal_report(
    session: AsyncSession, *, project: Project, title: str = "Checkout is slow"
) -> SignalReport:
    return await added(
        session, SignalReport(id=new_id(), project_id=project.id, title=title, created_at=utcnow())
    )
