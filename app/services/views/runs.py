"""Read runs and show them as the API does (contract 3.3)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Select, Text, bindparam, case, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.api_limits import PAGE_BYTES
from app.clients.object_store import ObjectStore
from app.enums import Environment, RunStatus
from app.errors import NotFound
from app.models import Run, Task
from app.models.base import literal_int
from app.schemas.base import Page
from app.schemas.runs.runs import RunOut
from app.schemas.staged_artifacts import ArtifactOut
from app.services.access.principal import Principal
from app.services.access.visibility import VISIBLE_RUN, require_task, visibility
from app.services.storage_keys import log_key
from app.services.views.queue import ATTEMPTS, QUEUE_POSITION, position
from app.statements import Prepared

_LITTLE_BYTES: ColumnElement[int] = literal_int(1024)


def text_bytes(column: Any) -> ColumnElement[int]:
    """Return the SQL expression for the size of a text column, in bytes; 0 for NULL."""
    return func.coalesce(func.octet_length(column), 0)


def json_bytes(column: Any) -> ColumnElement[int]:
    """Return the SQL expression for the size of a JSON column, in bytes; 0 for NULL."""
    stored = func.pg_column_size(column)
    whole = func.octet_length(cast(column, Text))
    return func.coalesce(case((stored > _LITTLE_BYTES, whole), else_=stored), 0)


def within_page(
    rows: Select[Any], of: Any, size: ColumnElement[int], order: str = "created_at"
) -> Select[Any]:
    """Return a SELECT of the first of `rows`, latest `order` first, until their total size reaches `PAGE_BYTES`."""
    by = (getattr(of, order).desc(), of.id.desc())
    before = func.coalesce(func.sum(size).over(order_by=by, rows=(None, -1)), 0).label("bytes_before")
    measured = rows.add_columns(before).subquery()
    return (
        select(*(column for column in measured.c if column.name != before.name))
        .where(measured.c.bytes_before < literal_int(PAGE_BYTES))
        .order_by(measured.c[order].desc(), measured.c.id.desc())
    )


class RunRow(NamedTuple):
    """A run with `run_columns`."""

    id: UUID
    task_id: UUID
    project_id: int
    stage: str | None
    branch: str | None
    status: RunStatus
    environment: Environment
    error_message: str | None
    output: Any
    state: dict[str, Any]
    facts: dict[str, Any]
    artifacts: list[ArtifactOut]
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    scheduled_at: datetime | None
    attempts: int
    queue_position: int | None


def run_columns(run: Any = Run, *, prefix: str = "") -> list[Any]:
    """Return the columns of a `RunRow`, from `Run` or an alias of it, with a prefix before their names."""
    columns = {name: getattr(run, name) for name in RunRow._fields if name != QUEUE_POSITION}
    columns[QUEUE_POSITION] = position(run)
    return [column.label(f"{prefix}{name}") for name, column in columns.items()]


async def retrieve_run(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, *, store: ObjectStore
) -> RunOut:
    """Return a run as the API shows it. The caller must see its task."""
    row = await _RUN.first(session, {"task_id": task_id, "run_id": run_id, **visibility(caller)})
    if row is None:
        raise NotFound
    return await run_out(row, store)


_RUN = Prepared(select(*run_columns()).join(Task, Task.id == Run.task_id).where(VISIBLE_RUN), RunRow)


async def list_runs(
    session: AsyncSession, caller: Principal, task_id: UUID, page: Page, *, store: ObjectStore
) -> tuple[int, list[RunOut]]:
    """Return the number of a task's runs, and one page of them, newest first. The caller must see the task."""
    await require_task(session, caller, task_id)
    values = {"task_id": task_id, "limit": page.limit, "offset": page.offset}
    (count,) = await _COUNT.one(session, values)
    rows = await _PAGE.all(session, values) if page.offset < count else []
    return count, [await run_out(row, store) for row in rows]


def run_bytes(run: Any) -> ColumnElement[int]:
    """Return the SQL expression for the size in bytes of a run's error message and JSON columns."""
    documents = (json_bytes(column) for column in (run.output, run.state, run.facts, run.artifacts))
    return sum(documents, start=text_bytes(run.error_message))


def runs_within_page(rows: Select[Any]) -> Select[Any]:
    """Return a SELECT of the newest runs in `rows`, the newest first, until their total size reaches `PAGE_BYTES`."""
    return within_page(rows, Run, run_bytes(Run))


_COUNT = Prepared(select(func.count()).where(Run.task_id == bindparam("task_id")))
_NEWEST = (
    select(Run.id)
    .where(Run.task_id == bindparam("task_id"))
    .order_by(Run.created_at.desc(), Run.id.desc())
    .limit(bindparam("limit", type_=BigInteger))
    .offset(bindparam("offset", type_=BigInteger))
)
_PAGE = Prepared(runs_within_page(select(*run_columns()).where(Run.id.in_(_NEWEST))), RunRow)


async def run_out(run: RunRow, links: ObjectStore | None) -> RunOut:
    """Return a run as the API shows it (contract 3.3). `links` signs the URL of the log; None shows no URL."""
    state = run.state
    shown_state = state | run.facts
    if run.queue_position:
        shown_state[QUEUE_POSITION] = run.queue_position
    if run.attempts:
        shown_state[ATTEMPTS] = run.attempts
    key = log_key(run.project_id, run.task_id, run.id)
    return {
        "id": run.id,
        "task": run.task_id,
        "stage": run.stage,
        "branch": run.branch,
        "status": run.status,
        "environment": run.environment,
        "runtime_adapter": _text(state, "runtime_adapter"),
        "provider": _text(state, "provider"),
        "model": _text(state, "model"),
        "reasoning_effort": _text(state, "reasoning_effort"),
        "log_url": None if links is None else await links.signed_url(key),
        "error_message": run.error_message,
        "output": run.output,
        "state": shown_state,
        "artifacts": run.artifacts,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "completed_at": run.completed_at,
        "scheduled_at": run.scheduled_at,
    }


def _text(state: Mapping[str, Any], key: str) -> str | None:
    # Clients write the state too: values that are not text are ignored.
    value = state.get(key)
    return value if isinstance(value, str) else None
