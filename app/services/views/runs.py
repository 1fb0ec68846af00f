"""Read runs and show them as the API does (contract 3.3)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from app.api_limits import PAGE_BYTES
from app.clients.storage.object_store import ObjectStore
from app.clients.storage.storage_keys import RunRef
from app.db.statements import Prepared
from app.enums import Environment, RunStatus
from app.errors import NotFound
from app.json_types import JsonDict
from app.models import Run, Task
from app.models.base import AnyColumn, literal_int
from app.schemas.base import ApiPath, Page
from app.schemas.runs.artifacts import ManifestEntry, RunArtifactOut
from app.schemas.runs.run import RunOut
from app.schemas.runs.verifications import VerificationOut
from app.services.access.principal import Principal
from app.services.access.visibility import VISIBLE_RUN, VISIBLE_TASK, require_task, visibility
from app.services.views.entity_tags import NOTHING_HELD, Held, digest_of, find_held, joined, row_version
from app.services.views.queue_position import ATTEMPTS, IN_QUEUE, queue_columns

_LITTLE_BYTES: ColumnElement[int] = literal_int(1024)


def text_bytes(column: AnyColumn) -> ColumnElement[int]:
    return func.coalesce(func.octet_length(column), 0)


def json_bytes(column: AnyColumn) -> ColumnElement[int]:
    stored = func.pg_column_size(column)
    whole = func.octet_length(cast(column, Text))
    return func.coalesce(case((stored > _LITTLE_BYTES, whole), else_=stored), 0)


# The columns by which rows are sorted, the greatest first, and finally by id.
Order = tuple[str, ...]
NEWEST_FIRST: Order = ("created_at",)


def greatest_first(table: Any, order: Order) -> list[ColumnElement[object]]:
    """Return the terms of an ORDER BY of a table or its columns."""
    return [getattr(table, name).desc() for name in (*order, "id")]


def within_page(
    rows: Select[Any], table: Any, size: ColumnElement[int], order: Order = NEWEST_FIRST
) -> Select[Any]:
    """Return a SELECT of the first of `rows`, in this order, until their total size reaches `PAGE_BYTES`."""
    before = func.coalesce(
        func.sum(size).over(order_by=greatest_first(table, order), rows=(None, -1)), 0
    ).label("bytes_before")
    measured = rows.add_columns(before).subquery()
    return (
        select(*(column for column in measured.c if column.name != before.name))
        .where(measured.c.bytes_before < literal_int(PAGE_BYTES))
        .order_by(*greatest_first(measured.c, order))
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
    output: object
    state: JsonDict
    facts: JsonDict
    artifacts: list[ManifestEntry]
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    scheduled_at: datetime | None
    attempts: int
    verification: VerificationOut | None
    queue_position: int | None
    waits_for: str | None


def run_columns(run: type[Run] = Run, *, prefix: str = "") -> list[Any]:
    """Return the columns of a `RunRow`, from `Run` or an alias of it, with a prefix before their names."""
    columns = {name: getattr(run, name) for name in RunRow._fields if name not in IN_QUEUE}
    columns |= queue_columns(run)
    return [column.label(f"{prefix}{name}") for name, column in columns.items()]


def run_version(run: Any = Run, *, table: str = "runs") -> ColumnElement[str]:
    """Return the SQL expression for the version of a run, named `table`, except for what the queue decides."""
    columns = [getattr(run, name) for name in RunRow._fields if name not in IN_QUEUE]
    digest = func.sha256(func.record_send(func.row(*columns)))
    shown = func.encode(digest, literal_column("'hex'"), type_=Text)
    # Heartbeats write the row of a run that a worker holds, without changing what is shown.
    written = case((run.lease_expires_at.is_not(None), shown), else_=row_version(table))
    return joined(run.id, written)


def select_digest(
    version: ColumnElement[str], table: Any, run: Any, order: Order = NEWEST_FIRST
) -> ColumnElement[str]:
    """Return the SQL expression for the `digest_of` of rows of `table` in this order, each `placed` by its run."""
    line_break, nothing, encoding, digits = (
        literal_column(text, Text) for text in ("E'\\n'", "''", "'UTF8'", "'hex'")
    )
    shown = joined(version, *queue_columns(run).values())
    lines = func.string_agg(shown, aggregate_order_by(line_break, *greatest_first(table, order)))
    encoded = func.convert_to(func.coalesce(lines, nothing), encoding)
    return func.encode(func.sha256(encoded), digits, type_=Text)


def placed(version: str, run: RunRow | None) -> str:
    """Return the version of a row with the queue position of its run and why it waits, as `select_digest` has it."""
    return f"{version}/{(run and run.queue_position) or ''}/{(run and run.waits_for) or ''}"


class _VersionedRun(NamedTuple):
    run: RunRow
    row_version: str


async def retrieve_run(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, *, store: ObjectStore
) -> RunOut:
    """Return a run as the API shows it. The caller must see its task."""
    _, run = await revalidate_run(session, caller, task_id, run_id, NOTHING_HELD, store=store)
    assert run is not None
    return run


async def revalidate_run(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, held: Held, *, store: ObjectStore
) -> tuple[str, RunOut | None]:
    """Return the tag of a run, and the run as the API shows it, or None if the client has this answer already."""
    values = {"task_id": task_id, "run_id": run_id, **visibility(caller)}
    known = await find_held(session, held, _RUN_VERSION, values)
    if known is not None:
        return known, None
    row = await _RUN.first(session, values)
    if row is None:
        raise NotFound
    tag = held.tag(1, digest_of([placed(row.row_version, row.run)]))
    return tag, None if held.has(tag) else await run_out(row.run, store)


_VERSIONED = select(*run_columns(), run_version().label("row_version"))
_RUN = Prepared(_VERSIONED.join(Task, Task.id == Run.task_id).where(VISIBLE_RUN), _VersionedRun)
_RUN_VERSION = Prepared(
    select(literal_int(1), select_digest(run_version(), Run, Run))
    .join(Task, Task.id == Run.task_id)
    .where(VISIBLE_RUN)
    .group_by(Run.id)
)


async def list_runs(
    session: AsyncSession, caller: Principal, task_id: UUID, page: Page, held: Held, *, store: ObjectStore
) -> tuple[str, tuple[int, list[RunOut]] | None]:
    """Return the tag of a page of a task's runs, their number and the page; None for both if the client has them."""
    values = {"task_id": task_id, "limit": page.limit, "offset": page.offset}
    known = await find_held(session, held, _PAGE_VERSIONS, {**values, **visibility(caller)})
    if known is not None:
        return known, None
    await require_task(session, caller, task_id)
    (count,) = await _COUNT.one(session, {"task_id": task_id})
    rows = await _PAGE.all(session, values) if page.offset < count else []
    tag = held.tag(count, digest_of(placed(row.row_version, row.run) for row in rows))
    return tag, None if held.has(tag) else (count, [await run_out(row.run, store) for row in rows])


def run_bytes(run: Any) -> ColumnElement[int]:
    documents = (
        json_bytes(column) for column in (run.output, run.state, run.facts, run.artifacts, run.verification)
    )
    return sum(documents, start=text_bytes(run.error_message))


_COUNT = Prepared(select(func.count()).where(Run.task_id == bindparam("task_id")))
_NEWEST = (
    select(Run.id)
    .where(Run.task_id == bindparam("task_id"))
    .order_by(Run.created_at.desc(), Run.id.desc())
    .limit(bindparam("limit", type_=BigInteger))
    .offset(bindparam("offset", type_=BigInteger))
)
_PAGE = Prepared(within_page(_VERSIONED.where(Run.id.in_(_NEWEST)), Run, run_bytes(Run)), _VersionedRun)
# No row if the caller does not see the task.
_PAGE_VERSIONS: Prepared[tuple[int, str]] = Prepared(
    select(
        select(func.count()).where(Run.task_id == Task.id).scalar_subquery(),
        select(select_digest(run_version(), Run, Run)).where(Run.id.in_(_NEWEST)).scalar_subquery(),
    ).where(Task.id == bindparam("task_id"), VISIBLE_TASK)
)


async def run_out(run: RunRow, links: ObjectStore | None) -> RunOut:
    state = run.state
    shown_state = state | run.facts
    if run.queue_position:
        shown_state |= {name: getattr(run, name) for name in IN_QUEUE}
    if run.attempts:
        shown_state[ATTEMPTS] = run.attempts
    ref = RunRef(run.project_id, run.task_id, run.id)
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
        "log_url": None if links is None else await links.urls.of(ref.log_key),
        "error_message": run.error_message,
        "output": run.output,
        "state": shown_state,
        # Most runs of a list have none.
        "artifacts": artifacts_out(ref, run.artifacts, with_urls=links is not None) if run.artifacts else [],
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "completed_at": run.completed_at,
        "scheduled_at": run.scheduled_at,
        "verification": run.verification,
    }


def artifacts_out(
    ref: RunRef, manifest: Iterable[ManifestEntry], *, with_urls: bool = True
) -> list[RunArtifactOut]:
    """Return the files of a run as the API shows them (contract 3.4)."""
    path = f"/api/projects/{ref.project_id}/tasks/{ref.task_id}/runs/{ref.run_id}/artifacts"
    return [
        {
            **entry,
            # An entry without an id is damaged; its run is shown all the same.
            "url": ApiPath(f"{path}/{entry['id']}/download") if with_urls and "id" in entry else None,
            # Older entries do not say who uploaded them; workers named themselves as the source.
            "uploaded_by": entry.get("uploaded_by")
            or ("agent" if entry.get("source") == "agent" else "user"),
            "uploaded_by_user_id": entry.get("uploaded_by_user_id"),
            "dismissed_at": datetime.fromisoformat(at) if (at := entry.get("dismissed_at")) else None,
            "metadata": None,
        }
        for entry in manifest
    ]


def _text(state: Mapping[str, object], key: str) -> str | None:
    # Clients write the state too: values that are not text are ignored.
    value = state.get(key)
    return value if isinstance(value, str) else None
