"""Record who follows a task: members who chose to, answered a question, or sent a command (contract 15)."""

from uuid import UUID

from sqlalchemy import literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.models import Task, TaskFollow
from app.services.access.principal import Principal
from app.services.access.visibility import visible_task


async def follow(session: AsyncSession, caller: Principal, task_id: UUID) -> bool:
    """Make the caller follow a task, so that its questions are in their inbox. Idempotent.

    Return True, or False if the caller cannot see the task. Nothing is stored for the creator of the task, who has its
    questions in the inbox anyway.
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
