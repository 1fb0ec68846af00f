"""Resolve what people write for a task or a run: a number, a slug, an id or its beginning (contract 6.13)."""

import re
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.db.statements import Prepared
from app.errors import AmbiguousReference, NotFound
from app.models import Run, Task
from app.models.base import literal_int
from app.schemas.tasks import ReferenceKind, ResolvedOut
from app.services.access.principal import Principal
from app.services.access.visibility import VISIBLE_TASK, visibility
from app.services.tasks.search_words import searched_number
from app.services.views.task_links import slug, slug_prefix

_LATEST: Final = "@latest"
_DIGITS: Final = 32
_PREFIX: Final = re.compile(r"[0-9a-f]{6,32}", re.ASCII)


class _Found(NamedTuple):
    task: UUID
    run: UUID | None


_TASKS = select(Task.id.label("task"), Task.latest_run_id.label("run")).where(VISIBLE_TASK)
_RUNS = select(Run.task_id.label("task"), Run.id.label("run")).join(Task, Task.id == Run.task_id)
_USER = bindparam("visible_user_id", type_=Task.created_by_id.type)


def _between(column: InstrumentedAttribute[UUID]) -> ColumnElement[bool]:
    return column.between(bindparam("first", type_=column.type), bindparam("last", type_=column.type))


_BY_NUMBER = Prepared(_TASKS.where(Task.task_number == bindparam("number")), _Found)
_TASK_BY_ID = Prepared(_TASKS.where(_between(Task.id)).limit(literal_int(2)), _Found)
_RUN_BY_ID = Prepared(_RUNS.where(_between(Run.id), VISIBLE_TASK).limit(literal_int(2)), _Found)
_LATEST_TASK = Prepared(
    _TASKS.where(Task.created_by_id == _USER)
    .order_by(Task.created_at.desc(), Task.id.desc())
    .limit(literal_int(1)),
    _Found,
)
_LATEST_RUN = Prepared(
    _RUNS.where(Run.project_id == bindparam("visible_project_id"), Run.asked_by_id == _USER, VISIBLE_TASK)
    .order_by(Run.created_at.desc(), Run.id.desc())
    .limit(literal_int(1)),
    _Found,
)


async def resolve(session: AsyncSession, caller: Principal, kind: ReferenceKind, ref: str) -> ResolvedOut:
    """Return the ids of the task or run that `ref` means. Raises NotFound or AmbiguousReference."""
    found = await _find(session, caller, kind, ref)
    if kind is ReferenceKind.RUN:
        of_tasks, found = found, {each for each in found if each.run is not None}
        if of_tasks and not found:
            raise NotFound("The task has no run.")
    if not found:
        raise NotFound
    if len(found) > 1:
        raise AmbiguousReference
    ((task, run),) = found
    return {"task": task, "run": run if kind is ReferenceKind.RUN else None}


async def _find(session: AsyncSession, caller: Principal, kind: ReferenceKind, ref: str) -> set[_Found]:
    values = visibility(caller)
    if ref == _LATEST:
        statement = _LATEST_TASK if kind is ReferenceKind.TASK else _LATEST_RUN
        return set(await statement.all(session, values))
    number = searched_number(ref)
    if number is not None and ref.casefold() in {
        str(number),
        slug(slug_prefix(caller.project.name), number).casefold(),
    }:
        found = set(await _BY_NUMBER.all(session, {"number": number, **values}))
        if found:
            return found
    digits = ref.replace("-", "").lower()
    if _PREFIX.fullmatch(digits) is None:
        return set()
    ends = {
        "first": UUID(digits.ljust(_DIGITS, "0")),
        "last": UUID(digits.ljust(_DIGITS, "f")),
    }
    found = set(await _TASK_BY_ID.all(session, {**ends, **values}))
    if kind is ReferenceKind.RUN:
        found |= set(await _RUN_BY_ID.all(session, {**ends, **values}))
    return found
