"""Read tasks: list, retrieve and summarize them (contract 5.1, 5.3, 6.2, 6.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, cast
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Select, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.storage.object_store import ObjectStore
from app.clock import utcnow
from app.db.statements import Prepared
from app.enums import Environment, RunStatus
from app.errors import NotFound
from app.models import Membership, Presence, Run, Task, User
from app.models.base import literal_int
from app.schemas.base import Page
from app.schemas.tasks import SummaryOut, TaskListQuery, TaskOut
from app.schemas.viewers import ViewersOut
from app.services.access.principal import Principal
from app.services.access.visibility import VISIBLE_TASK, VISIBLE_TASKS, visibility
from app.services.tasks.cached_pages import KnownLists, find_held_page, find_page
from app.services.tasks.filters import (
    ListedTask,
    SeenTask,
    first_page_statement,
    first_page_versions,
    is_dense,
    task_filter,
)
from app.services.views.entity_tags import NOTHING_HELD, Held, digest_of, find_held
from app.services.views.runs import NEWEST_FIRST, placed
from app.services.views.tasks import TaskRow, select_versioned_tasks, select_versions, task_out
from app.services.views.users import CREATOR_COLUMNS, Creator, user_basic


@dataclass(frozen=True, slots=True)
class TaskLists:
    """The lists of tasks that a caller asks for. `known` caches those with filters."""

    session: AsyncSession
    caller: Principal
    store: ObjectStore
    known: KnownLists

    async def find(
        self, query: TaskListQuery, page: Page, held: Held
    ) -> tuple[str, tuple[int, list[TaskOut]] | None]:
        """Return the tag of a page of tasks, their exact number and the page; None for both if the client has them."""
        filtered = task_filter(self.caller, query)
        is_first = page.offset == 0 and is_dense(filtered.shape)
        if is_first:
            first_page = first_page_versions(filtered.shape, page.limit, filtered.order)
            tag = await find_held(self.session, held, first_page, filtered.parameters)
        else:
            tag = await find_held_page(self.session, filtered, page, held, self.known)
        if tag is not None:
            return tag, None
        rows: Sequence[ListedTask | SeenTask]
        if is_first:
            statement = first_page_statement(filtered.shape, page.limit, filtered.order)
            rows = listed = await statement.all(self.session, filtered.parameters)
            count = listed[0].total if listed else 0
        else:
            count, rows = await find_page(self.session, filtered, page, self.known)
        versions = (placed(row.row_version, row.task and row.task.run) for row in rows if row.row_version)
        tag = held.tag(count, digest_of(versions))
        if held.has(tag):
            return tag, None
        tasks = [await task_out(row.task, self.caller.project, self.store) for row in rows if row.task]
        return tag, (count, tasks)


class _VersionedTask(NamedTuple):
    task: TaskRow
    row_version: str


async def retrieve_task(
    session: AsyncSession, caller: Principal, task_id: UUID, *, store: ObjectStore
) -> TaskOut:
    _, task = await revalidate_task(session, caller, task_id, NOTHING_HELD, store=store)
    assert task is not None
    return task


async def revalidate_task(
    session: AsyncSession, caller: Principal, task_id: UUID, held: Held, *, store: ObjectStore
) -> tuple[str, TaskOut | None]:
    """Return the tag of a task, and the task as the API shows it, or None if the client has this answer already."""
    values = {"task_id": task_id, **visibility(caller)}
    known = await find_held(session, held, _TASK_VERSION, values)
    if known is not None:
        return known, None
    row = await _TASK.first(session, values)
    if row is None:
        raise NotFound
    tag = held.tag(1, digest_of([placed(row.row_version, row.task.run)]))
    return tag, None if held.has(tag) else await task_out(row.task, caller.project, store)


_ONE = (Task.id == bindparam("task_id"), VISIBLE_TASK)
_TASK = Prepared(select_versioned_tasks().where(*_ONE), _VersionedTask)
_TASK_VERSION: Prepared[tuple[int, str]] = Prepared(
    select_versions(NEWEST_FIRST, literal_int(1)).where(*_ONE).group_by(Task.id)
)


_MOST_REPOSITORIES = 1000


async def list_repositories(session: AsyncSession, caller: Principal) -> list[str]:
    return [name for (name,) in await _REPOSITORIES.all(session, visibility(caller))]


def _repositories_statement() -> Select[str]:
    # Finds each next name by one look at the index: DISTINCT would read all tasks.
    named = (Task.project_id == bindparam("visible_project_id"), ~Task.deleted, Task.repository.is_not(None))
    names = select(func.min(Task.repository).label("name")).where(*named).cte("names", recursive=True)
    following = select(func.min(Task.repository)).where(*named, Task.repository > names.c.name)
    names = names.union_all(select(following.scalar_subquery()).where(names.c.name.is_not(None)))
    shown = select(Task.id).where(VISIBLE_TASK, ~Task.internal, Task.repository == names.c.name)
    found = select(names.c.name).where(names.c.name != "", shown.exists())
    return found.order_by(names.c.name).limit(_MOST_REPOSITORIES)


_REPOSITORIES = Prepared(_repositories_statement())


async def summarize_tasks(
    session: AsyncSession, caller: Principal, ids: Sequence[UUID], page: Page
) -> tuple[int, list[SummaryOut]]:
    """Return how many of the tasks with these ids the caller sees, and one page of their summaries (contract 6.3)."""
    values = {"ids": list(ids), **visibility(caller)}
    (count,) = await _SUMMARIES_COUNT.one(session, values)
    if page.offset >= count:
        return count, []
    summaries = [
        {**task._asdict(), "latest_run": task.latest_run and task.latest_run._asdict()}
        for task in await _SUMMARIES.all(session, {**values, "limit": page.limit, "offset": page.offset})
    ]
    return count, cast("list[SummaryOut]", summaries)


class _RunSummary(NamedTuple):
    status: RunStatus
    environment: Environment


class _Summary(NamedTuple):
    id: UUID
    title: str
    repository: str | None
    created_at: datetime
    updated_at: datetime
    latest_run: _RunSummary | None


_SUMMARIES_COUNT = Prepared(select(func.count()).select_from(Task).where(VISIBLE_TASKS))
_SUMMARIES = Prepared(
    select(
        Task.id, Task.title, Task.repository, Task.created_at, Task.updated_at, Run.status, Run.environment
    )
    .outerjoin(Run, Run.id == Task.latest_run_id)
    .where(VISIBLE_TASKS)
    .order_by(Task.created_at.desc(), Task.id.desc())
    .limit(bindparam("limit", type_=BigInteger))
    .offset(bindparam("offset", type_=BigInteger)),
    _Summary,
)


_MOST = 500


async def list_viewers(session: AsyncSession, caller: Principal) -> ViewersOut:
    """Return the people who look at tasks that the caller sees: at most 500 pairs of a task and a user."""
    rows = await _VIEWERS.all(session, {"now": utcnow(), **visibility(caller)})
    return {"results": [{"task": row.task_id, "user": user_basic(row.creator)} for row in rows]}


class _Viewer(NamedTuple):
    task_id: UUID
    creator: Creator


_VIEWERS = Prepared(
    select(Presence.task_id, *CREATOR_COLUMNS)
    .join(Task, Task.id == Presence.task_id)
    .join(User, User.id == Presence.user_id)
    .join(
        Membership, (Membership.project_id == Presence.project_id) & (Membership.user_id == Presence.user_id)
    )
    .where(
        Presence.expires_at > bindparam("now", type_=DateTime(timezone=True)), Presence.focused, VISIBLE_TASK
    )
    .group_by(Presence.task_id, User.id)
    .order_by(func.max(Presence.expires_at).desc(), Presence.task_id, User.id)
    .limit(_MOST),
    _Viewer,
)
