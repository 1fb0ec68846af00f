"""Archive, unarchive and delete many tasks, or delete one, with their events (contract 5.5, 6.11).

Rows are locked in the order of their ids, runs before tasks, so that two requests cannot deadlock.
"""

from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import CTE, Boolean, ColumnElement, Text, bindparam, case, literal_column, select, update
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db.statements import Prepared, Statement
from app.enums import EventType
from app.errors import NotFound
from app.models import Task
from app.models.base import literal_int
from app.schemas.tasks import BatchAction, BatchIn, BatchOut, BatchResult
from app.services.access.principal import Principal
from app.services.access.visibility import VISIBLE_TASKS, visibility, visible_task
from app.services.events.activity_notes import moved_to
from app.services.events.ledger import Recorded, publish_recorded, recorded_columns
from app.services.questions.question_lifecycle import leave_inboxes, lock_asking
from app.services.questions.verdict_questions import withdraw_all
from app.services.tasks.task_writing import task_event_cte


async def change_tasks(session: AsyncSession, caller: Principal, body: BatchIn) -> BatchOut:
    """Perform the action of `body` on each of its tasks; one that cannot be found does not stop the others."""
    if body.action is BatchAction.DELETE:
        results = dict.fromkeys(await _delete(session, caller, body.ids), BatchResult.CHANGED)
    else:
        if body.action is BatchAction.ARCHIVE:
            await withdraw_all(session, select(Task.id).where(Task.id.in_(body.ids), visible_task(caller)))
        values = {"ids": body.ids, "archived": body.action is BatchAction.ARCHIVE, "now": utcnow()}
        found = await _SET_ARCHIVED.all(session, values | visibility(caller))
        await publish_recorded(session, [row.recorded for row in found])
        results = {row.id: BatchResult.CHANGED if row.recorded else BatchResult.UNCHANGED for row in found}
    return {
        "results": [
            {"id": task_id, "result": results.get(task_id, BatchResult.NOT_FOUND)}
            for task_id in dict.fromkeys(body.ids)
        ]
    }


async def delete_task(session: AsyncSession, caller: Principal, task_id: UUID) -> None:
    """Mark a task as deleted, permanently, and withdraw its open questions (contract 5.5)."""
    if not await _delete(session, caller, [task_id]):
        raise NotFound


class _Found(NamedTuple):
    id: UUID
    recorded: Recorded | None


async def _delete(session: AsyncSession, caller: Principal, ids: Collection[UUID]) -> Collection[UUID]:
    run_ids = await lock_asking(session, select(Task.id).where(Task.id.in_(ids), visible_task(caller)))
    values = visibility(caller)
    found = [task_id for (task_id,) in await _LOCK.all(session, {"ids": ids, **values})]
    if found:
        await leave_inboxes(session, found, run_ids)
        deleted = await _DELETE.all(session, {"ids": found, "now": utcnow(), **values})
        await publish_recorded(session, deleted)
    return found


_LOCKED = select(Task.id).where(VISIBLE_TASKS).order_by(Task.id).with_for_update(key_share=True)
_LOCK = Prepared(_LOCKED)


def _change(*conditions: ColumnElement[bool], **values: object) -> CTE:
    return (
        update(Task)
        .where(*conditions)
        .values(**values, event_count=Task.event_count + literal_int(1), **moved_to(_NOW))
        .returning(Task.id, Task.project_id, Task.updated_at, Task.deleted_at, Task.event_count)
        .cte("changed")
    )


def _set_archived_statement() -> Statement:
    archived = bindparam("archived", type_=Boolean)
    found = _LOCKED.add_columns(Task.archived).cte("found")
    changed = _change(
        Task.id == found.c.id,
        found.c.archived != archived,
        archived=archived,
        archived_at=case((archived, _NOW)),
        updated_at=_NOW,
    )
    fields = array([literal_column("'archived'", Text)])
    recorded = task_event_cte(changed, EventType.TASK_UPDATED, changed=fields)
    is_same_task = recorded.c.task_id == found.c.id
    return select(found.c.id, *recorded_columns(recorded)).outerjoin(recorded, is_same_task)


_NOW = bindparam("now", type_=Task.updated_at.type)
_SET_ARCHIVED = Prepared(_set_archived_statement(), _Found)
_DELETED = _change(VISIBLE_TASKS, deleted=True, deleted_at=_NOW, encrypted_hints=None)
_DELETE = Prepared(select(*recorded_columns(task_event_cte(_DELETED, EventType.TASK_DELETED))), Recorded)
