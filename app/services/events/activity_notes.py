"""SQL expressions that note activity in the row of its task (contract 3.1, 6.12).

The statement that records an event moves `last_activity_at`. Ends of runs and messages of members also set the columns
`activity_…`, for the people who follow the task. A transaction that commits late moves neither of them backwards.
"""

from typing import Any

from sqlalchemy import CTE, ColumnElement, case, func, update

from app.enums import ActivityKind
from app.models import Task
from app.models.base import constant


def moved_to(at: Any) -> dict[str, ColumnElement[object]]:
    """Return the values of an UPDATE of `Task` for an event at this time; NULL stands for no event."""
    return {"last_activity_at": func.greatest(Task.last_activity_at, at)}


def noted(kind: ActivityKind, at: Any, *, by: Any, subject: Any) -> dict[str, ColumnElement[object]]:
    """Return the values of an UPDATE of `Task` for the end of a run, or a message, that the user `by` has caused."""
    is_newest = func.coalesce(Task.activity_at, Task.created_at) <= at
    values = {
        "activity_at": at,
        "activity_kind": constant(kind),
        "activity_by_id": by,
        "activity_subject_id": subject,
    }
    return {name: case((is_newest, value), else_=getattr(Task, name)) for name, value in values.items()}


def note_message(task_id: Any, *conditions: ColumnElement[bool], at: Any, by: Any, command_id: Any) -> CTE:
    """Return a CTE that notes a message of the user `by` to the agent of a run, if the conditions are met."""
    values = noted(ActivityKind.MESSAGE, at, by=by, subject=command_id)
    return update(Task).where(Task.id == task_id, *conditions).values(values).returning(Task.id).cte("noted")
