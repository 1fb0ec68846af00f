"""Pin tasks; a pin is its user's own, and changes nothing about the task (contract 6.9)."""

from uuid import UUID

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import NotFound
from app.models import Task, TaskPin
from app.schemas.tasks import PinOut
from app.services.access.principal import Principal
from app.services.access.visibility import VISIBLE_TASK, visibility
from app.statements import Prepared

_USER = bindparam("visible_user_id", type_=TaskPin.user_id.type)


async def set_pin(session: AsyncSession, caller: Principal, task_id: UUID, *, pinned: bool) -> PinOut:
    """Pin or unpin a task for the caller. Idempotent: a pinned task keeps its place."""
    statement = _PIN if pinned else _UNPIN
    if await statement.first(session, {"task_id": task_id, **visibility(caller)}) is None:
        raise NotFound
    return {"task_id": task_id, "pinned": pinned}


_TASK = select(Task.id).where(Task.id == bindparam("task_id"), VISIBLE_TASK).cte("task")
_ADDED = (
    insert(TaskPin)
    .from_select(["user_id", "task_id"], select(_USER, _TASK.c.id))
    .on_conflict_do_nothing()
    .returning(TaskPin.task_id)
)
_REMOVED = (
    delete(TaskPin).where(TaskPin.user_id == _USER, TaskPin.task_id == _TASK.c.id).returning(TaskPin.task_id)
)
_PIN = Prepared(select(_TASK.c.id).add_cte(_ADDED.cte("added")))
_UNPIN = Prepared(select(_TASK.c.id).add_cte(_REMOVED.cte("removed")))


async def list_pinned(session: AsyncSession, caller: Principal) -> list[UUID]:
    """Return the ids of the tasks that the caller has pinned and sees, the newest pin first."""
    return [task_id for (task_id,) in await _PINNED.all(session, visibility(caller))]


_PINNED = Prepared(
    select(TaskPin.task_id)
    .join(Task, Task.id == TaskPin.task_id)
    .where(TaskPin.user_id == _USER, VISIBLE_TASK)
    .order_by(TaskPin.place.desc())
)
