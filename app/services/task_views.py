"""From rows to what goes over the wire: tasks and runs as plain data, selected by column.

One statement brings a task with its creator and its latest run, whether one task or a page of them is asked for; no
entity is built and nothing is loaded later.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import aliased

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

__all__ = ["RUN_COLUMNS", "run_out", "select_tasks", "task_out", "tasks_out"]

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
