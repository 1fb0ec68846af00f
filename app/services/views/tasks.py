"""Read tasks with their latest runs, and show them as the API does (contract 3.1)."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import aliased

from app.clients.storage.object_store import ObjectStore
from app.enums import OriginProduct
from app.models import Run, Task, User
from app.schemas.checks.check_sets import DefinitionsOut
from app.schemas.tasks import TaskOut
from app.services.access.principal import ProjectRef
from app.services.views.entity_tags import joined, row_version
from app.services.views.runs import (
    Order,
    RunRow,
    json_bytes,
    run_bytes,
    run_columns,
    run_out,
    run_version,
    select_digest,
    text_bytes,
    within_page,
)
from app.services.views.task_links import slug, slug_prefix
from app.services.views.users import CREATOR_COLUMNS, Creator, user_basic

_LatestRun = aliased(Run, name="latest_run")


class TaskRow(NamedTuple):
    """A task of `select_tasks`."""

    id: UUID
    task_number: int | None
    title: str
    title_manually_set: bool
    description: str
    origin_product: OriginProduct
    repository: str | None
    github_integration_id: int | None
    github_user_integration_id: UUID | None
    signal_report_id: UUID | None
    json_schema: object
    internal: bool
    archived: bool
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime
    last_activity_at: datetime
    ci_prompt: str | None
    acceptance: DefinitionsOut | None
    # Not shown; lists are sorted by it.
    verdict_urgency: int
    creator: Creator | None
    run: RunRow | None


_TASK_BYTES = (
    text_bytes(Task.description)
    + text_bytes(Task.ci_prompt)
    + json_bytes(Task.json_schema)
    + json_bytes(Task.acceptance)
)


def select_tasks(table: type[Task] = Task) -> Select[Any]:
    """Return the SELECT of each `TaskRow` in `table`, which is `Task` or an alias of it. The caller adds conditions."""
    own = [getattr(table, name) for name in TaskRow._fields if name not in {"creator", "run"}]
    return _from(table, *own, *CREATOR_COLUMNS, *run_columns(_LatestRun, prefix="run_"))


def _from(table: type[Task], *columns: ColumnElement[Any]) -> Select[Any]:
    return (
        select(*columns)
        .select_from(table)
        .outerjoin(User, User.id == table.created_by_id)
        .outerjoin(_LatestRun, _LatestRun.id == table.latest_run_id)
    )


def _task_version(table: type[Task] = Task) -> ColumnElement[str]:
    # Of the task, its creator and its run, which are shown together. An alias has the name and the `xmin` of the table.
    return joined(
        table.id,
        row_version(Task.__tablename__),
        row_version(User.__tablename__),
        run_version(_LatestRun, table="latest_run"),
    )


def select_versioned_tasks() -> Select[Any]:
    """Return the SELECT of each `TaskRow`, with its version as `row_version`. The caller adds conditions."""
    return select_tasks().add_columns(_task_version().label("row_version"))


def select_versions(order: Order, *before: ColumnElement[Any], table: type[Task] = Task) -> Select[Any]:
    """Return the SELECT of the columns `before` and the digest of the versions of tasks. The caller adds conditions."""
    return _from(table, *before, select_digest(_task_version(table), table, _LatestRun, order))


def tasks_within_page(rows: Select[Any], order: Order) -> Select[Any]:
    """Return a SELECT of the first tasks in `rows`, in this order, until their total size reaches `PAGE_BYTES`."""
    return within_page(rows, Task, _TASK_BYTES + run_bytes(_LatestRun), order)


async def task_out(row: TaskRow, project: ProjectRef, links: ObjectStore | None) -> TaskOut:
    """Return a task as the API shows it (contract 3.1). `links` signs the URL of its run's log; None shows no URL."""
    return {
        "id": row.id,
        "task_number": row.task_number,
        "slug": slug(slug_prefix(project.name), row.task_number),
        "title": row.title,
        "title_manually_set": row.title_manually_set,
        "description": row.description,
        "origin_product": row.origin_product,
        "repository": row.repository,
        "github_integration": row.github_integration_id,
        "github_user_integration": row.github_user_integration_id,
        "signal_report": row.signal_report_id,
        "json_schema": row.json_schema,
        "internal": row.internal,
        "archived": row.archived,
        "archived_at": row.archived_at,
        "latest_run": None if row.run is None else await run_out(row.run, links),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "last_activity_at": row.last_activity_at,
        "created_by": row.creator and user_basic(row.creator),
        "ci_prompt": row.ci_prompt,
        "acceptance": row.acceptance,
    }
