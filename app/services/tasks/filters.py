"""Build the SQL statements of task lists. Each is built once for its set of filters, without the values of a request.

Pure: this does not use the database. The index for each condition is in `app/models/tasks.py`.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ScalarSelect,
    Select,
    SQLColumnExpression,
    and_,
    bindparam,
    case,
    cast,
    false,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import aliased

from app.db.statements import Prepared
from app.enums import CiStatus
from app.ids import MAX_BIGINT
from app.models import Run, Task, TaskCount
from app.models.base import AnyColumn, literal_int
from app.models.tasks import REPOSITORY_NAME, REPOSITORY_OWNER, VERDICT_URGENCY
from app.schemas.tasks import Ordering, TaskListQuery, Wanted
from app.services.access.principal import Principal
from app.services.access.visibility import VISIBLE_TASK, VISIBLE_TASKS, audiences_of, visibility
from app.services.tasks.search_words import escape_like, searched_number
from app.services.views.entity_tags import Versions
from app.services.views.runs import NEWEST_FIRST, Order, greatest_first
from app.services.views.tasks import TaskRow, select_versioned_tasks, select_versions, tasks_within_page

# The statements that are kept; clients use fewer combinations of filters than are possible.
_SHAPES_KEPT = 512


_ORDERS: Mapping[Ordering, Order] = {
    Ordering.CREATED: NEWEST_FIRST,
    Ordering.ACTIVITY: ("last_activity_at",),
    Ordering.VERDICT: ("verdict_urgency", "created_at"),
}
# `access.visibility` gives the values.
_SEEN = (
    TaskCount.project_id == bindparam("visible_project_id"),
    TaskCount.audience.in_(audiences_of(bindparam("visible_user_id", type_=BigInteger))),
)


def version() -> ScalarSelect[int]:
    """Return the SQL expression for the version of the caller's view of tasks, a number that never falls."""
    return _sum(TaskCount.changes)


def tasks_counted(*conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    """Return the SQL expression for the number of tasks that the caller sees and that meet the conditions."""
    return _sum(TaskCount.tasks, *conditions)


def _sum(column: SQLColumnExpression[int], *conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    # PostgreSQL adds up to `numeric`, which would arrive as a Decimal.
    total = cast(func.coalesce(func.sum(column), 0), BigInteger)
    return select(total).where(*_SEEN, *conditions).scalar_subquery()


class ListedTask(NamedTuple):
    """A task of a page and its version, with the number of all tasks that match the filter."""

    task: TaskRow
    row_version: str
    total: int


class SeenTask(NamedTuple):
    """A task of a page, with what else the same snapshot showed; an empty page has one row without a task."""

    version: int
    total: int | None
    task: TaskRow | None
    row_version: str | None


class TaskFilter(NamedTuple):
    shape: tuple[str, ...]
    # The values of the parameters of VISIBLE_TASK, and of those of the shape.
    visible: Mapping[str, int]
    values: Mapping[str, int | str]
    order: Order = NEWEST_FIRST

    @property
    def parameters(self) -> Mapping[str, int | str]:
        return {**self.visible, **self.values}


def task_filter(caller: Principal, query: TaskListQuery) -> TaskFilter:
    # Only staff may list internal tasks; for others the parameter is ignored, not refused.
    internal = query.internal if caller.is_staff else Wanted.NO
    flags = {"internal": internal, "archived": query.archived}
    shape = [
        name if wanted is Wanted.ONLY else f"not {name}"
        for name, wanted in flags.items()
        if wanted is not Wanted.ALL
    ]
    values: dict[str, int | str] = {}
    filters = {
        "created_by": query.created_by,
        "origin_product": query.origin_product,
        "organization": query.organization and query.organization.lower(),
        "status": query.status,
        "verdict": query.verdict and VERDICT_URGENCY[query.verdict],
        "stage": query.stage,
    }
    if query.repository is not None:
        # Stored in lower case, with exactly one slash.
        filters["repository" if "/" in query.repository else "repository_name"] = query.repository.lower()
    if query.ci_status is CiStatus.NONE:
        shape.append("no ci")
    else:
        filters["ci_status"] = query.ci_status
    for name, value in filters.items():
        if isinstance(value, int) and abs(value) > MAX_BIGINT:
            # The number is larger than any user id.
            shape.append("nothing")
        elif value is not None:
            shape.append(name)
            values[name] = value
    if query.search is not None:
        values["pattern"] = f"%{escape_like(query.search)}%"
        number = searched_number(query.search)
        if number is None:
            shape.append("words")
        else:
            shape.append("number")
            values["number"] = number
    return TaskFilter(tuple(shape), visibility(caller), values, _ORDERS[query.ordering])


_WORDS = or_(
    Task.title.ilike(bindparam("pattern"), escape="\\"),
    Task.description.ilike(bindparam("pattern"), escape="\\"),
)
_OLDEST = bindparam("oldest", None, type_=BigInteger)
# The newest tasks of the project, from the number `oldest` on, and the one with the number that is searched for.
IS_RECENT = or_(
    _OLDEST.is_(None), Task.task_number >= _OLDEST, Task.task_number == bindparam("number", None, BigInteger)
)


def recent_first(table: type[Task | Run]) -> list[AnyColumn]:
    """Return the order, newest first."""
    # Recent tasks: no index matches `greatest`. With one the planner might walk through all tasks.
    at = case((_OLDEST.is_(None), table.created_at), else_=func.greatest(table.created_at))
    return [at.desc(), table.id.desc()]


def _flags(table: type[Task | TaskCount]) -> Mapping[str, ColumnElement[bool]]:
    # Bare or negated: partial indexes are not matched by `IS true`.
    return {
        "internal": table.internal.expression,
        "not internal": ~table.internal,
        "archived": table.archived.expression,
        "not archived": ~table.archived,
    }


_FLAGS = _flags(TaskCount)
_CONDITIONS: Mapping[str, ColumnElement[bool]] = {
    **_flags(Task),
    "nothing": false(),
    "created_by": Task.created_by_id == bindparam("created_by"),
    "origin_product": Task.origin_product == bindparam("origin_product"),
    "organization": and_(Task.repository.is_not(None), bindparam("organization") == REPOSITORY_OWNER),
    "repository": and_(Task.repository.is_not(None), Task.repository == bindparam("repository")),
    "repository_name": and_(Task.repository.is_not(None), bindparam("repository_name") == REPOSITORY_NAME),
    "status": Task.latest_run_status == bindparam("status"),
    "verdict": Task.verdict_urgency == bindparam("verdict"),
    "ci_status": and_(Task.latest_run_id.is_not(None), Task.latest_run_ci == bindparam("ci_status")),
    "no ci": and_(Task.latest_run_id.is_not(None), Task.latest_run_ci.is_(None)),
    "stage": Task.id.in_(
        select(Run.task_id).where(
            Run.project_id == bindparam("visible_project_id"), Run.stage == bindparam("stage")
        )
    ),
    "words": _WORDS,
    "number": or_(_WORDS, Task.task_number == bindparam("number")),
    "recent": IS_RECENT,
}


@lru_cache(maxsize=_SHAPES_KEPT)
def first_page_statement(shape: tuple[str, ...], limit: int, order: Order) -> Prepared[ListedTask]:
    """Return the SELECT of the first `limit` tasks that match a filter, in this order."""
    page = _show(select_newest(shape, limit, order), order)
    return Prepared(page.add_columns(_count(shape).label("total")), ListedTask)


@lru_cache(maxsize=_SHAPES_KEPT)
def first_page_versions(shape: tuple[str, ...], limit: int, order: Order) -> Versions:
    """Return the SELECT of the total and the versions of what `first_page_statement` selects."""
    # Selects what the versions need too: with a second look-up by id, the database takes twice as long.
    xmin: ColumnElement[object] = literal_column(f"{Task.__tablename__}.xmin").label("xmin")
    newest = select_newest(shape, limit, order, Task.created_by_id, Task.latest_run_id, xmin)
    page = aliased(Task, newest.subquery(Task.__tablename__))
    return Prepared(select(_count(shape), select_versions(order, table=page).scalar_subquery()))


@lru_cache(maxsize=_SHAPES_KEPT)
def known_page_statement(shape: tuple[str, ...], order: Order) -> Prepared[SeenTask]:
    """Return the SELECT of the tasks with the ids in the parameter `ids` that the caller sees, in this order."""
    count = _count(shape) if _FLAGS.keys() >= set(shape) else null()
    return _join_snapshot(
        select(version().label("version"), count.label("total")),
        tasks_within_page(select_versioned_tasks().where(VISIBLE_TASKS), order),
        order,
    )


@lru_cache
def known_versions(order: Order) -> Versions:
    """Return the SELECT of the version of the caller's view and the versions of what `known_page_statement` selects."""
    versions = select_versions(order).where(VISIBLE_TASKS)
    return Prepared(select(version(), versions.scalar_subquery()))


@lru_cache(maxsize=_SHAPES_KEPT)
def look_up_statement(
    shape: tuple[str, ...], limit: int, order: Order, *, counting: bool
) -> Prepared[SeenTask]:
    """Return the SELECT of one page of the tasks that match a filter, in this order."""
    conditions = (_CONDITIONS[name] for name in shape)
    count = select(func.count()).select_from(Task).where(VISIBLE_TASK, *conditions).scalar_subquery()
    looked_at = select(version().label("version"), (count if counting else null()).label("total"))
    page = _show(select_newest(shape, limit, order, first=False), order)
    return _join_snapshot(looked_at, page.order_by(None), order)


def is_dense(shape: tuple[str, ...]) -> bool:
    """Return whether a filter with the conditions `shape` (`TaskFilter.shape`) matches most tasks."""
    return {"not internal", "not archived"} >= set(shape)


def _join_snapshot(
    looked_at: Select[*tuple[Any, ...]], tasks: Select[*tuple[Any, ...]], order: Order
) -> Prepared[SeenTask]:
    seen, page = looked_at.subquery("seen"), tasks.subquery("page")
    return Prepared(
        select(seen, page).select_from(seen).outerjoin(page, true()).order_by(*greatest_first(page.c, order)),
        SeenTask,
    )


def _count(shape: tuple[str, ...]) -> ColumnElement[int]:
    return tasks_counted(*(_FLAGS[name] for name in shape))


def _show(page: Select[Any], order: Order) -> Select[Any]:
    found = page.subquery()
    return tasks_within_page(select_versioned_tasks().join(found, found.c.id == Task.id), order)


def select_newest(
    shape: tuple[str, ...], limit: int, order: Order = NEWEST_FIRST, *also: AnyColumn, first: bool = True
) -> Select[Any]:
    """Return the SELECT of id, place and `also` of `limit` matching tasks, unless `first` from `offset` to `end`."""
    # Reads each audience in index order, then merges them: `audience IN (…)` would sort all visible tasks.
    end = literal_int(limit) if first else bindparam("end", type_=BigInteger)
    by = [getattr(Task, name) for name in order]
    branches = [
        select(Task.id, *by, *also)
        .where(
            Task.project_id == bindparam("visible_project_id"),
            Task.audience == audience,
            ~Task.deleted,
            *(_CONDITIONS[name] for name in shape),
        )
        .order_by(*(recent_first(Task) if "recent" in shape else greatest_first(Task, order)))
        .limit(end)
        for audience in audiences_of(bindparam("visible_user_id"))
    ]
    merged = union_all(*branches).subquery()
    page = select(merged).order_by(*greatest_first(merged.c, order)).limit(literal_int(limit))
    return page if first else page.offset(bindparam("offset", type_=BigInteger))
