"""Read tasks with their latest runs, and show them as the API does (contract 3.1).

One statement selects a task, or a page of tasks, each with its creator and its latest run. No ORM entity is built, and
no attribute is loaded later.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import aliased

from app.clients.object_store import SignedLinks
from app.models import Run, Task, User
from app.schemas.tasks import TaskOut
from app.services.access.principal import ProjectRef
from app.services.views.pages import json_bytes, text_bytes, within_page
from app.services.views.queue import QUEUE_POSITION, position
from app.services.views.runs import SHOWN_COLUMNS, run_bytes, run_out
from app.services.views.slugs import slug, slug_prefix
from app.services.views.users import CREATOR_COLUMNS, user_basic
from app.statements import Fields

_LatestRun = aliased(Run, name="latest_run")

_TASK_COLUMNS = (
    Task.id,
    Task.task_number,
    Task.title,
    Task.title_manually_set,
    Task.description,
    Task.origin_product,
    Task.repository,
    Task.github_integration_id,
    Task.github_user_integration_id,
    Task.signal_report_id,
    Task.json_schema,
    Task.internal,
    Task.archived,
    Task.archived_at,
    Task.created_at,
    Task.updated_at,
    Task.ci_prompt,
)

_TASK_BYTES = text_bytes(Task.description) + text_bytes(Task.ci_prompt) + json_bytes(Task.json_schema)


def _label(prefix: str, columns: Sequence[Any], source: Any) -> list[Any]:
    return [getattr(source, column.key).label(f"{prefix}{column.key}") for column in columns]


def select_tasks(of: type[Task] = Task) -> Select[Any]:
    """Return the SELECT of tasks with the columns that `task_out` reads. The caller adds conditions and an order.

    Args:
        of: the table to select from: `Task`, or an alias of it, such as the rows that a statement has written.

    """
    return (
        select(
            *_label("", _TASK_COLUMNS, of),
            *CREATOR_COLUMNS,
            *_label("run_", SHOWN_COLUMNS, _LatestRun),
            position(_LatestRun).label(f"run_{QUEUE_POSITION}"),
        )
        .select_from(of)
        .outerjoin(User, User.id == of.created_by_id)
        .outerjoin(_LatestRun, _LatestRun.id == of.latest_run_id)
    )


def tasks_within_page(rows: Select[Any]) -> Select[Any]:
    """Return a SELECT of the newest tasks in `rows`, the newest first, until their total size reaches `PAGE_BYTES`.

    The size of a task is that of its texts and documents, and of those of its latest run. If there are any tasks, at
    least one is returned. `rows` is made from `select_tasks`.
    """
    return within_page(rows, Task, _TASK_BYTES + run_bytes(_LatestRun))


async def tasks_out(rows: Sequence[Fields], project: ProjectRef, links: SignedLinks) -> list[TaskOut]:
    """Return tasks as the API shows them, from rows of `select_tasks`. `links` signs the URLs of logs."""
    return [await task_out(row, project, links) for row in rows]


async def task_out(row: Fields, project: ProjectRef, links: SignedLinks | None) -> TaskOut:
    """Return a task as the API shows it (contract 3.1), from a row of `select_tasks`.

    `links` signs the URL of the latest run's log. If it is None, the task is shown without that URL.
    """
    return {
        "id": row["id"],
        "task_number": row["task_number"],
        "slug": slug(slug_prefix(project.name), row["task_number"]),
        "title": row["title"],
        "title_manually_set": row["title_manually_set"],
        "description": row["description"],
        "origin_product": row["origin_product"],
        "repository": row["repository"],
        "github_integration": row["github_integration_id"],
        "github_user_integration": row["github_user_integration_id"],
        "signal_report": row["signal_report_id"],
        "json_schema": row["json_schema"],
        "internal": row["internal"],
        "archived": row["archived"],
        "archived_at": row["archived_at"],
        "latest_run": None if row["run_id"] is None else await run_out(row, links, prefix="run_"),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "created_by": user_basic(row),
        "ci_prompt": row["ci_prompt"],
    }
