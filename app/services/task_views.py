"""From rows to what goes over the wire: tasks and runs as plain data, selected by column.

One statement brings a task with its creator and its latest run, whether one task or a page of them is asked for; no
entity is built and nothing is loaded later.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, case, cast, func, literal_column, select
from sqlalchemy.orm import aliased

from app.api_limits import PAGE_BYTES
from app.clients.object_store import ObjectStore
from app.models import Run, Task, User
from app.schemas.runs import RunOut
from app.schemas.tasks import TaskOut
from app.services.access import ProjectRef
from app.services.artifact_rules import log_key
from app.services.run_queue import ATTEMPTS, QUEUE_POSITION, position
from app.services.task_text import slug, slug_prefix
from app.services.user_views import CREATOR_COLUMNS, user_basic
from app.statements import Fields

__all__ = [
    "RUN_COLUMNS",
    "run_out",
    "runs_within_page",
    "select_tasks",
    "task_out",
    "tasks_out",
    "tasks_within_page",
]

_LatestRun = aliased(Run, name="latest_run")

_RUN_COLUMNS = (
    Run.id,
    Run.task_id,
    Run.project_id,
    Run.stage,
    Run.branch,
    Run.status,
    Run.environment,
    Run.error_message,
    Run.output,
    Run.state,
    Run.artifacts,
    Run.created_at,
    Run.updated_at,
    Run.completed_at,
    Run.attempts,
)
RUN_COLUMNS = (*_RUN_COLUMNS, position(Run).label(QUEUE_POSITION))
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

_LITTLE_BYTES: ColumnElement[int] = literal_column("1024")


def _text_bytes(column: Any) -> ColumnElement[int]:
    return func.coalesce(func.octet_length(column), 0)


def _json_bytes(column: Any) -> ColumnElement[int]:
    """Return the size of a document; of one that is small in the table, as there: compressed it may be much larger."""
    stored = func.pg_column_size(column)
    whole = func.octet_length(cast(column, Text))
    return func.coalesce(case((stored > _LITTLE_BYTES, whole), else_=stored), 0)


def _run_bytes(run: Any) -> ColumnElement[int]:
    documents = _json_bytes(run.output) + _json_bytes(run.state) + _json_bytes(run.artifacts)
    return _text_bytes(run.error_message) + documents


_TASK_BYTES = _text_bytes(Task.description) + _text_bytes(Task.ci_prompt) + _json_bytes(Task.json_schema)


def _labelled(prefix: str, columns: Sequence[Any], source: Any) -> list[Any]:
    return [getattr(source, column.key).label(f"{prefix}{column.key}") for column in columns]


def select_tasks(of: type[Task] = Task) -> Select[Any]:
    """Return the statement that `task_out` reads; add a condition and an order.

    Args:
        of: the tasks to show, an alias of what a statement has written for example.

    """
    return (
        select(
            *_labelled("", _TASK_COLUMNS, of),
            *CREATOR_COLUMNS,
            *_labelled("run_", _RUN_COLUMNS, _LatestRun),
            position(_LatestRun).label(f"run_{QUEUE_POSITION}"),
        )
        .select_from(of)
        .outerjoin(User, User.id == of.created_by_id)
        .outerjoin(_LatestRun, _LatestRun.id == of.latest_run_id)
    )


def tasks_within_page(rows: Select[Any]) -> Select[Any]:
    """Return the page that `rows` makes of `select_tasks`, newest first, without what exceeds `PAGE_BYTES`."""
    return _within_page(rows, Task, _TASK_BYTES + _run_bytes(_LatestRun))


def runs_within_page(rows: Select[Any]) -> Select[Any]:
    """Return the page that `rows` makes of `RUN_COLUMNS`, newest first, without what exceeds `PAGE_BYTES`."""
    return _within_page(rows, Run, _run_bytes(Run))


def _within_page(rows: Select[Any], of: Any, size: ColumnElement[int]) -> Select[Any]:
    """Return the statement without the rows before which others make `PAGE_BYTES`; the first one always stays.

    Texts are measured without being fetched.
    """
    order = (of.created_at.desc(), of.id.desc())
    before = func.coalesce(func.sum(size).over(order_by=order, rows=(None, -1)), 0).label("bytes_before")
    measured = rows.add_columns(before).subquery()
    return (
        select(*(column for column in measured.c if column.name != before.name))
        .where(measured.c.bytes_before < literal_column(str(PAGE_BYTES)))
        .order_by(measured.c.created_at.desc(), measured.c.id.desc())
    )


async def tasks_out(rows: Sequence[Fields], project: ProjectRef, store: ObjectStore) -> list[TaskOut]:
    """Return a page of tasks as they are shown."""
    return [await task_out(row, project, store) for row in rows]


async def task_out(row: Fields, project: ProjectRef, store: ObjectStore) -> TaskOut:
    """Return one row of `select_tasks` as it is shown (contract 3.1)."""
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
        "latest_run": None if row["run_id"] is None else await run_out(row, store, prefix="run_"),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "created_by": user_basic(row),
        "ci_prompt": row["ci_prompt"],
    }


async def run_out(values: Mapping[Any, Any], store: ObjectStore, *, prefix: str = "") -> RunOut:
    """Return a run as it is shown (contract 3.3), from the mapping of a row that holds `RUN_COLUMNS`."""
    state = values[prefix + "state"]
    run_id, task_id = values[prefix + "id"], values[prefix + "task_id"]
    key = log_key(values[prefix + "project_id"], task_id, run_id)
    return {
        "id": run_id,
        "task": task_id,
        "stage": values[prefix + "stage"],
        "branch": values[prefix + "branch"],
        "status": values[prefix + "status"],
        "environment": values[prefix + "environment"],
        "runtime_adapter": _text(state, "runtime_adapter"),
        "provider": _text(state, "provider"),
        "model": _text(state, "model"),
        "reasoning_effort": _text(state, "reasoning_effort"),
        "log_url": await store.signed_url(key),
        "error_message": values[prefix + "error_message"],
        "output": values[prefix + "output"],
        "state": state | _dispatch_state(values, prefix),
        "artifacts": values[prefix + "artifacts"],
        "created_at": values[prefix + "created_at"],
        "updated_at": values[prefix + "updated_at"],
        "completed_at": values[prefix + "completed_at"],
    }


def _dispatch_state(values: Mapping[Any, Any], prefix: str) -> dict[str, Any]:
    """Return what the state of a run says of its wait and its workers, as far as there is anything to say."""
    return {name: value for name in (QUEUE_POSITION, ATTEMPTS) if (value := values[prefix + name])}


def _text(state: Mapping[str, Any], key: str) -> str | None:
    # State is written by clients too: what is no text there is nothing here.
    value = state.get(key)
    return value if isinstance(value, str) else None
