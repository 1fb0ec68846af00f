"""Read runs and show them as the API does (contract 3.3)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.object_store import SignedLinks
from app.errors import NotFound
from app.models import Run, Task
from app.schemas.base import Page
from app.schemas.runs.runs import RunOut
from app.services.access.principal import Principal
from app.services.access.visibility import VISIBLE_RUN, require_task, visibility
from app.services.storage_keys import log_key
from app.services.views.pages import json_bytes, text_bytes, within_page
from app.services.views.queue import ATTEMPTS, QUEUE_POSITION, position
from app.statements import Prepared

SHOWN_COLUMNS = (
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
    Run.facts,
    Run.artifacts,
    Run.created_at,
    Run.updated_at,
    Run.completed_at,
    Run.attempts,
)
RUN_COLUMNS = (*SHOWN_COLUMNS, position(Run).label(QUEUE_POSITION))


async def retrieve_run(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, *, store: SignedLinks
) -> RunOut:
    """Return a run as the API shows it. The caller must see its task.

    Raises:
        NotFound: the task is not visible to the caller, or the run is not one of its runs.

    """
    row = await _RUN.first(session, {"task_id": task_id, "run_id": run_id, **visibility(caller)})
    if row is None:
        raise NotFound
    return await run_out(row, store)


_RUN = Prepared(select(*RUN_COLUMNS).join(Task, Task.id == Run.task_id).where(VISIBLE_RUN))


async def list_runs(
    session: AsyncSession, caller: Principal, task_id: UUID, page: Page, *, store: SignedLinks
) -> tuple[int, list[RunOut]]:
    """Return the number of a task's runs, and one page of them, newest first. The caller must see the task.

    Raises:
        NotFound: there is no such task, or the caller cannot see it.

    """
    await require_task(session, caller, task_id)
    values = {"task_id": task_id, "limit": page.limit, "offset": page.offset}
    (counted,) = await _COUNT.all(session, values)
    rows = await _PAGE.all(session, values) if page.offset < counted["count"] else []
    return counted["count"], [await run_out(row, store) for row in rows]


def run_bytes(run: Any) -> ColumnElement[int]:
    """Return the SQL expression for the size in bytes of a run's error message and JSON columns.

    `run` is the model `Run` in the statement, or an alias of it.
    """
    documents = (json_bytes(column) for column in (run.output, run.state, run.facts, run.artifacts))
    return sum(documents, start=text_bytes(run.error_message))


def runs_within_page(rows: Select[Any]) -> Select[Any]:
    """Return a SELECT of the newest runs in `rows`, the newest first, until their total size reaches `PAGE_BYTES`.

    The size of a run is that of its texts and documents. If there are any runs, at least one is returned. `rows` is a
    SELECT from `Run` with the columns `created_at` and `id`.
    """
    return within_page(rows, Run, run_bytes(Run))


_COUNT = Prepared(select(func.count().label("count")).where(Run.task_id == bindparam("task_id")))
_NEWEST = (
    select(Run.id)
    .where(Run.task_id == bindparam("task_id"))
    .order_by(Run.created_at.desc(), Run.id.desc())
    .limit(bindparam("limit", type_=BigInteger))
    .offset(bindparam("offset", type_=BigInteger))
)
_PAGE = Prepared(runs_within_page(select(*RUN_COLUMNS).where(Run.id.in_(_NEWEST))))


async def run_out(values: Mapping[Any, Any], links: SignedLinks | None, *, prefix: str = "") -> RunOut:
    """Return a run as the API shows it (contract 3.3), from a row with `RUN_COLUMNS`.

    Args:
        values: the row, by column name.
        links: signs the URL of the log. If it is None, the run is shown without that URL.
        prefix: the text before the names of the run's columns, for example `run_` in rows of tasks.

    """
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
        "log_url": None if links is None else await links.signed_url(key),
        "error_message": values[prefix + "error_message"],
        "output": values[prefix + "output"],
        "state": state | values[prefix + "facts"] | _dispatch_state(values, prefix),
        "artifacts": values[prefix + "artifacts"],
        "created_at": values[prefix + "created_at"],
        "updated_at": values[prefix + "updated_at"],
        "completed_at": values[prefix + "completed_at"],
    }


def _dispatch_state(values: Mapping[Any, Any], prefix: str) -> dict[str, Any]:
    """Return the keys of a run's state for its queue position and attempts, if they have a value."""
    return {name: value for name in (QUEUE_POSITION, ATTEMPTS) if (value := values[prefix + name])}


def _text(state: Mapping[str, Any], key: str) -> str | None:
    # Clients write the state too: values that are not text are ignored.
    value = state.get(key)
    return value if isinstance(value, str) else None
