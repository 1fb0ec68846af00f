"""Tasks: list, create, read, change, delete, and what is asked about many of them (contract 5.1 to 5.5, 6.2, 6.3)."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Insert,
    Select,
    Uuid,
    and_,
    any_,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.object_store import ObjectStore
from app.clock import utcnow
from app.enums import Environment, OriginProduct, RunStatus, SignalReportRelationship
from app.errors import NotFound
from app.ids import new_id
from app.models import Run, SignalReportTask, Task, TaskCounter
from app.models.tasks import REPOSITORY_NAME, REPOSITORY_OWNER
from app.schemas.tasks import Archived, SummaryOut, TaskIn, TaskListQuery, TaskOut
from app.services.access import Principal, visible_audiences, visible_task
from app.services.task_references import default_github_integration, require_references
from app.services.task_text import escape_like, searched_number, title_from_description
from app.services.task_views import select_tasks, task_out, tasks_out

__all__ = [
    "create_task",
    "delete_task",
    "list_repositories",
    "list_tasks",
    "retrieve_task",
    "summarize_tasks",
    "update_task",
]

_MAX_BIGINT = 2**63 - 1
# What an update writes; origin and report decide who sees a task and are fixed at creation (contract 11 #31).
_COLUMN_OF_FIELD = {
    "title": "title",
    "title_manually_set": "title_manually_set",
    "description": "description",
    "repository": "repository",
    "github_integration": "github_integration_id",
    "github_user_integration": "github_user_integration_id",
    "json_schema": "json_schema",
    "internal": "internal",
    "ci_prompt": "ci_prompt",
}


async def list_tasks(
    session: AsyncSession,
    caller: Principal,
    query: TaskListQuery,
    *,
    limit: int,
    offset: int,
    store: ObjectStore,
) -> tuple[int, list[TaskOut]]:
    """Return how many visible tasks the filters leave, and a page of them, newest first."""
    conditions = _filters(caller, query)
    count = await session.scalar(
        select(func.count()).select_from(Task).where(visible_task(caller), *conditions)
    )
    if not count or offset >= count:
        return count or 0, []
    page = _newest(caller, conditions, limit=limit, offset=offset).subquery()
    statement = (
        select_tasks().join(page, page.c.id == Task.id).order_by(page.c.created_at.desc(), page.c.id.desc())
    )
    rows = (await session.execute(statement)).all()
    return count, await tasks_out(rows, caller.project, store)


def _newest(
    caller: Principal, conditions: Sequence[ColumnElement[bool]], *, limit: int, offset: int
) -> Select[Any]:
    """Return the ids of one page: each audience read in the order of its index, the two merged.

    `audience IN (…)` would give up the order of the index and sort everything the caller sees.
    """
    branches = [
        select(Task.id, Task.created_at)
        .where(Task.project_id == caller.project.id, Task.audience == audience, ~Task.deleted, *conditions)
        .order_by(Task.created_at.desc(), Task.id.desc())
        .limit(limit + offset)
        for audience in visible_audiences(caller)
    ]
    merged = union_all(*branches).subquery()
    return (
        select(merged.c.id, merged.c.created_at)
        .order_by(merged.c.created_at.desc(), merged.c.id.desc())
        .limit(limit)
        .offset(offset)
    )


def _filters(caller: Principal, query: TaskListQuery) -> list[ColumnElement[bool]]:
    """Return the conditions that a query adds to visibility (contract 5.1)."""
    conditions: list[ColumnElement[bool]] = []
    if query.archived is not Archived.ALL:
        conditions.append(_is(Task.archived, query.archived is Archived.ONLY))
    # Only staff may ask for internal tasks; anyone else's wish is ignored, not refused.
    conditions.append(_is(Task.internal, query.internal and caller.is_staff))
    if query.created_by is not None:
        # A number that no user can have.
        fits = abs(query.created_by) <= _MAX_BIGINT
        conditions.append(Task.created_by_id == query.created_by if fits else ~true())
    if query.origin_product is not None:
        conditions.append(Task.origin_product == query.origin_product)
    if query.organization is not None:
        conditions.append(_has_repository(REPOSITORY_OWNER, query.organization))
    if query.repository is not None:
        whole = "/" in query.repository
        column = Task.repository if whole else REPOSITORY_NAME
        conditions.append(_has_repository(column, query.repository))
    if query.status is not None:
        conditions.append(Task.latest_run_status == query.status)
    if query.stage is not None:
        in_stage = select(Run.task_id).where(Run.project_id == caller.project.id, Run.stage == query.stage)
        conditions.append(Task.id.in_(in_stage))
    if query.search is not None:
        conditions.append(_matches(query.search))
    return conditions


def _is(flag: Any, wanted: bool) -> ColumnElement[bool]:
    """Return the bare flag or its negation: partial indexes are not matched by `IS true`."""
    condition: ColumnElement[bool] = flag if wanted else ~flag
    return condition


def _has_repository(column: Any, wanted: str) -> ColumnElement[bool]:
    """Compare a part of the repository, which is stored in lower case and has exactly one slash."""
    return and_(Task.repository.is_not(None), column == wanted.lower())


def _matches(search: str) -> ColumnElement[bool]:
    pattern = f"%{escape_like(search)}%"
    alternatives: list[ColumnElement[bool]] = [
        Task.title.ilike(pattern, escape="\\"),
        Task.description.ilike(pattern, escape="\\"),
    ]
    number = searched_number(search)
    if number is not None:
        alternatives.append(Task.task_number == number)
    return or_(*alternatives)


async def retrieve_task(
    session: AsyncSession, caller: Principal, task_id: UUID, *, store: ObjectStore
) -> TaskOut:
    """Return a task that the caller sees.

    Raises:
        NotFound: there is no such task, or not for this caller.

    """
    row = (
        await session.execute(select_tasks().where(Task.id == task_id, visible_task(caller)))
    ).one_or_none()
    if row is None:
        raise NotFound
    return await task_out(row, caller.project, store)


async def create_task(
    session: AsyncSession, caller: Principal, body: TaskIn, *, store: ObjectStore
) -> TaskOut:
    """Create a task; its number is the project's next one, consecutive under any concurrency (contract 10.1).

    Raises:
        InvalidInput: something it refers to is not there or not the caller's to use.

    """
    await require_references(session, caller, body)
    now = utcnow()
    task_id = new_id()
    by_hand = body.title_manually_set if body.given("title_manually_set") else bool(body.title)
    values: dict[str, Any] = {
        "id": task_id,
        "project_id": caller.project.id,
        "created_by_id": caller.user_id,
        "title": body.title or title_from_description(body.description),
        "title_manually_set": by_hand,
        "description": body.description,
        "origin_product": body.origin_product,
        "repository": body.repository,
        "github_user_integration_id": body.github_user_integration,
        "signal_report_id": body.signal_report,
        "json_schema": body.json_schema,
        "internal": body.internal,
        "archived": body.archived,
        "archived_at": now if body.archived else None,
        "ci_prompt": body.ci_prompt,
        "created_at": now,
        "updated_at": now,
    }
    await session.execute(_numbered_insert(caller.project.id, values, integration=body.github_integration))
    if body.signal_report and body.origin_product is OriginProduct.SIGNAL_REPORT:
        relationship = body.signal_report_task_relationship or SignalReportRelationship.IMPLEMENTATION
        await session.execute(
            insert(SignalReportTask).values(
                id=new_id(),
                report_id=body.signal_report,
                task_id=task_id,
                relationship=relationship,
                created_at=now,
            )
        )
    return await retrieve_task(session, caller, task_id, store=store)


def _numbered_insert(project_id: int, values: dict[str, Any], *, integration: int | None) -> Insert:
    """Return one statement that takes the project's next number, finds its integration, and inserts the task.

    The counter's row stays locked until commit: who comes next waits, and a rollback gives the number back.
    """
    counter = upsert(TaskCounter).values(project_id=project_id, next_number=1)
    numbered = (
        counter.on_conflict_do_update(
            index_elements=[TaskCounter.project_id], set_={"next_number": TaskCounter.next_number + 1}
        )
        .returning((TaskCounter.next_number - 1).label("task_number"))
        .cte("numbered")
    )
    types = {column.name: column.type for column in Task.__table__.columns}
    source = select(
        *(literal(value, types[name]) for name, value in values.items()),
        default_github_integration(project_id)
        if integration is None
        else literal(integration, types["github_integration_id"]),
        numbered.c.task_number,
    )
    return insert(Task).from_select([*values, "github_integration_id", "task_number"], source)


async def update_task(
    session: AsyncSession, caller: Principal, task_id: UUID, body: TaskIn, *, store: ObjectStore
) -> TaskOut:
    """Write the given fields and no others, so that concurrent updates of different fields both last.

    Raises:
        NotFound: there is no such task, or not for this caller.
        InvalidInput: something it refers to is not there or not the caller's to use.

    """
    await require_references(session, caller, body, updating=True)
    now = utcnow()
    values: dict[str, Any] = {"updated_at": now}
    for field, column in _COLUMN_OF_FIELD.items():
        if body.given(field):
            values[column] = getattr(body, field)
    if body.given("title") and not body.given("title_manually_set"):
        values["title_manually_set"] = True
    if body.given("archived"):
        values["archived"] = body.archived
        # The first stamp stays when an archived task is archived again.
        values["archived_at"] = func.coalesce(Task.archived_at, now) if body.archived else None
    changed = await session.execute(
        update(Task).where(Task.id == task_id, visible_task(caller)).values(values).returning(Task.id)
    )
    if changed.one_or_none() is None:
        raise NotFound
    return await retrieve_task(session, caller, task_id, store=store)


async def delete_task(session: AsyncSession, caller: Principal, task_id: UUID) -> None:
    """Hide a task for good; its runs and logs stay, its number is not used again (contract 5.5).

    Raises:
        NotFound: there is no such task for this caller, or no longer.

    """
    deleted = await session.execute(
        update(Task)
        .where(Task.id == task_id, visible_task(caller))
        .values(deleted=True, deleted_at=utcnow())
        .returning(Task.id)
    )
    if deleted.one_or_none() is None:
        raise NotFound


async def list_repositories(session: AsyncSession, caller: Principal) -> list[str]:
    """Return the distinct repositories of visible tasks, sorted (contract 6.2)."""
    statement = (
        select(Task.repository)
        .distinct()
        .where(visible_task(caller), ~Task.internal, Task.repository.is_not(None), Task.repository != "")
        .order_by(Task.repository)
    )
    return [repository for repository in await session.scalars(statement) if repository]


async def summarize_tasks(
    session: AsyncSession, caller: Principal, ids: Sequence[UUID], *, limit: int, offset: int
) -> tuple[int, list[SummaryOut]]:
    """Return how many of these tasks the caller sees, and a page of them in short (contract 6.3)."""
    # One array parameter: a list of parameters would make another statement of every length.
    wanted = [Task.id == any_(literal(list(ids), ARRAY(Uuid))), visible_task(caller)]
    count = await session.scalar(select(func.count()).select_from(Task).where(*wanted))
    if not count or offset >= count:
        return count or 0, []
    statement = (
        select(
            Task.id,
            Task.title,
            Task.repository,
            Task.created_at,
            Task.updated_at,
            Run.status,
            Run.environment,
        )
        .outerjoin(Run, Run.id == Task.latest_run_id)
        .where(*wanted)
        .order_by(Task.created_at.desc(), Task.id.desc())
        .limit(limit)
        .offset(offset)
    )
    summaries: list[SummaryOut] = [
        {
            "id": row.id,
            "title": row.title,
            "repository": row.repository,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
            "latest_run": None
            if row.status is None
            else {"status": RunStatus(row.status), "environment": Environment(row.environment)},
        }
        for row in await session.execute(statement)
    ]
    return count, summaries
