"""Who follows a task besides its creator: members who said so, answered or commanded (contract 15)."""

from uuid import UUID

from sqlalchemy import literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.models import Task, TaskFollow
from app.services.access.principal import Principal
from app.services.access.visibility import visible_task


async def follow(session: AsyncSession, caller: Principal, task_id: UUID) -> bool:
    """Have the questions of a task in the caller's inbox; False if the caller does not see the task.

    Its creator need not follow it, and following it twice is following it once.
    """
    task = select(Task.id, Task.created_by_id).where(Task.id == task_id, visible_task(caller)).cte("task")
    row = select(
        literal(caller.user_id, TaskFollow.user_id.type),
        task.c.id,
        literal(utcnow(), TaskFollow.created_at.type),
    ).where(task.c.created_by_id.is_distinct_from(caller.user_id))
    followed = (
        insert(TaskFollow)
        .from_select(["user_id", "task_id", "created_at"], row)
        .on_conflict_do_nothing()
        .returning(TaskFollow.task_id)
        .cte("followed")
    )
    return bool(await session.scalar(select(select(task.c.id).exists()).add_cte(followed)))
