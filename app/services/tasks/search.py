"""Find tasks, pull requests and artifacts by a part of their texts (contract 6.10)."""

import re
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Select, bindparam, column, func, select, true, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.db.statements import Prepared
from app.enums import RunStatus
from app.json_types import JsonDict
from app.models import Run, Task, TaskCounter
from app.models.base import literal_int
from app.models.runs.run import ARTIFACT_NAMES, PULL_REQUEST_URL
from app.schemas.tasks import MAX_FOUND, FoundKind, FoundOut, SearchQuery, TaskListQuery, Wanted
from app.services.access.principal import Principal
from app.services.access.visibility import VISIBLE_TASK
from app.services.tasks.cached_pages import PLAN_FOR_THESE_VALUES
from app.services.tasks.filters import IS_RECENT, recent_first, select_newest, task_filter
from app.services.tasks.search_words import escape_like
from app.services.views.task_links import slug, slug_prefix

# Words that the trigram indexes can find; others are looked for in the newest tasks of the project.
_INDEXED = re.compile(r"[^\W_]{3}")
_MOST_READ = 10_000
_GITHUB = re.compile(r"https?://[^/]+/([^/]+/[^/]+)/pull/([0-9]{1,9})(?:[/?#].*)?", re.ASCII)


async def search(session: AsyncSession, caller: Principal, query: SearchQuery) -> list[FoundOut]:
    """Return what matches: tasks, then pull requests, then artifacts, the newest of each first."""
    tasks = task_filter(caller, TaskListQuery(archived=Wanted.ALL, search=query.q))
    in_json = orjson.dumps(query.q).decode()[1:-1]
    values = {**tasks.parameters, "oldest": None}
    project = {"project_id": caller.project.id}
    if _INDEXED.search(query.q) is None and (counter := await _COUNTER.first(session, project)):
        values["oldest"] = counter[0] - _MOST_READ
    await session.execute(PLAN_FOR_THESE_VALUES)
    prefix = slug_prefix(caller.project.name)
    found = [_task(row, prefix) for row in await _tasks_statement(tasks.shape).all(session, values)]
    if len(found) < query.limit:
        found += map(_pull_request, await _PULL_REQUESTS.all(session, values))
    if len(found) < query.limit:
        found += map(
            _artifact, await _ARTIFACTS.all(session, {**values, "names": f"%{escape_like(in_json)}%"})
        )
    return found[: query.limit]


_COUNTER = Prepared(select(TaskCounter.next_number).where(TaskCounter.project_id == bindparam("project_id")))


class _TaskRow(NamedTuple):
    id: UUID
    title: str
    task_number: int | None
    latest_run_status: RunStatus | None
    repository: str | None


@lru_cache(maxsize=2)  # with and without a number
def _tasks_statement(shape: tuple[str, ...]) -> Prepared[_TaskRow]:
    page = select_newest((*shape, "recent"), MAX_FOUND).subquery()
    return Prepared(
        select(*(getattr(Task, name) for name in _TaskRow._fields))
        .join(page, page.c.id == Task.id)
        .order_by(Task.created_at.desc(), Task.id.desc()),
        _TaskRow,
    )


class _RunRow(NamedTuple):
    id: UUID
    task_id: UUID
    task_title: str
    # The URL of its pull request, or the entry of an artifact.
    result: Any


def _select_runs(result: Any) -> Select[Any]:
    return (
        select(Run.id, Run.task_id, Task.title.label("task_title"), result.label("result"))
        .join(Task, Task.id == Run.task_id)
        .where(Run.project_id == bindparam("visible_project_id"), VISIBLE_TASK, ~Task.internal, IS_RECENT)
        .order_by(*recent_first(Run))
        .limit(literal_int(MAX_FOUND))
    )


_Newer = aliased(Run)
_PULL_REQUESTS = Prepared(
    _select_runs(PULL_REQUEST_URL).where(
        PULL_REQUEST_URL.ilike(bindparam("pattern"), escape="\\"),
        func.length(PULL_REQUEST_URL) <= literal_int(2048),
        # The newest run of its task with this URL.
        ~select(_Newer.id)
        .where(
            _Newer.task_id == Run.task_id,
            tuple_(_Newer.created_at, _Newer.id) > tuple_(Run.created_at, Run.id),
            _Newer.output["pr_url"].astext == PULL_REQUEST_URL,
        )
        .exists(),
    ),
    _RunRow,
)
_ENTRIES = (
    func.jsonb_array_elements(Run.artifacts)
    .table_valued(column("entry", JSONB), with_ordinality="place", name="entries")
    .render_derived()
)
_ENTRY = _ENTRIES.c.entry
_ARTIFACTS = Prepared(
    _select_runs(_ENTRY)
    .join(_ENTRIES, true())
    .where(
        # Uses the index on all names of a run together; the next condition checks the single name.
        ARTIFACT_NAMES.ilike(bindparam("names"), escape="\\"),
        _ENTRY["name"].astext.ilike(bindparam("pattern"), escape="\\"),
        _ENTRY["dismissed_at"].astext.is_(None),
    )
    .order_by(_ENTRIES.c.place),
    _RunRow,
)


def _task(row: _TaskRow, prefix: str) -> FoundOut:
    name = slug(prefix, row.task_number)
    return {
        "id": str(row.id),
        "kind": FoundKind.TASK,
        "title": row.title,
        "subtitle": name,
        "task_id": row.id,
        "task_run_id": None,
        "channel_id": None,
        "metadata": {"slug": name, "status": row.latest_run_status, "repository": row.repository},
    }


def _pull_request(row: _RunRow) -> FoundOut:
    url = row.result
    match = _GITHUB.fullmatch(url)
    repository, number = (match[1], int(match[2])) if match else (None, None)
    metadata = {"url": url, "number": number, "repository": repository}
    return _of_run(row, FoundKind.PULL_REQUEST, url, f"{repository}#{number}" if match else url, metadata)


def _artifact(row: _RunRow) -> FoundOut:
    entry = row.result
    metadata = {name: entry[name] for name in ("type", "size", "content_type")}
    return _of_run(row, FoundKind.ARTIFACT, entry["id"], entry["name"], metadata)


def _of_run(row: _RunRow, kind: FoundKind, id_: str, title: str, metadata: JsonDict) -> FoundOut:
    return {
        "id": id_,
        "kind": kind,
        "title": title,
        "subtitle": row.task_title,
        "task_id": row.task_id,
        "task_run_id": row.id,
        "channel_id": None,
        "metadata": metadata,
    }
