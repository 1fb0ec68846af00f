"""Pin tasks; a pin is its user's own, and changes nothing about the task (contract 6.9)."""

from uuid import UUID

from sqlalchemy import bindparam, delete, func, or_, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.statements import Prepared
from app.errors import InvalidInput, NotFound
from app.models import Task, TaskPin
from app.schemas.tasks import PinOut
from app.services.access.principal import Principal
from app.services.access.user_lock import lock_user
from app.services.access.visibility import VISIBLE_TASK, visibility

_MOST = 500
_USER = bindparam("visible_user_id", type_=TaskPin.user_id.type)


async def set_pin(session: AsyncSession, caller: Principal, task_id: UUID, *, pinned: bool) -> PinOut:
    """Pin or unpin a task for the caller. Idempotent: a pinned task keeps its place."""
    if pinned:
        await lock_user(session, caller.user_id)
    statement = _PIN if pinned else _UNPIN
    done = await statement.first(session, {"task_id": task_id, **visibility(caller)})
    if done is None:
        raise NotFound
    (is_done,) = done
    if not is_done:
        text = f"You have {_MOST} pins in this project, the most there can be. Unpin some."
        raise InvalidInput(text, code="max_length")
    return {"task_id": task_id, "pinned": pinned}


_TASK = select(Task.id).where(Task.id == bindparam("task_id"), VISIBLE_TASK).cte("task")
_PINS = (
    select(TaskPin.task_id)
    .join(Task, Task.id == TaskPin.task_id)
    .where(TaskPin.user_id == _USER, VISIBLE_TASK)
)
_HAS_ROOM = select(func.count() < _MOST).select_from(_PINS.subquery()).scalar_subquery()
_ADDED = (
    insert(TaskPin)
    .from_select(["user_id", "task_id"], select(_USER, _TASK.c.id).where(_HAS_ROOM))
    .on_conflict_do_nothing()
    .returning(TaskPin.task_id)
    .cte("added")
)
_IS_PINNED = select(TaskPin.task_id).where(TaskPin.user_id == _USER, TaskPin.task_id == _TASK.c.id).exists()
_REMOVED = (
    delete(TaskPin).where(TaskPin.user_id == _USER, TaskPin.task_id == _TASK.c.id).returning(TaskPin.task_id)
)
_PIN = Prepared(select(or_(_IS_PINNED, select(_ADDED.c.task_id).exists())).select_from(_TASK))
_UNPIN = Prepared(select(true()).select_from(_TASK).add_cte(_REMOVED.cte("removed")))


async def list_pinned(session: AsyncSession, caller: Principal) -> list[UUID]:
    """Return the ids of the tasks that the caller has pinned and sees, the newest pin first."""
    return [task_id for (task_id,) in await _PINNED.all(session, visibility(caller))]


_PINNED = Prepared(_PINS.order_by(TaskPin.place.desc()).limit(_MOST))
