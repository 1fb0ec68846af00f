"""Routes of the newest activity of the caller's tasks (contract 6.12)."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.schemas.task_activity import ActivityPage, ActivityQuery, MarkedOut, MarkReadIn
from app.services.tasks import activity_listing
from app.web.auth import TaskRead, TaskWrite
from app.web.body import Body
from app.web.unit_route import UnitRoute

router = APIRouter(prefix="/api/projects/{project_id}/task_activity", tags=["tasks"], route_class=UnitRoute)


@router.get("", summary="List the newest activity of the caller's tasks")
async def list_activity(call: TaskRead, query: Annotated[ActivityQuery, Query()]) -> ActivityPage:
    """Return the newest activity of each task that the caller created or follows, and can see, newest first.

    Each task has one row. Archived and internal tasks are included. Continue with `next_before` and `next_before_id`. A
    row is unread while it is newer than what the caller has marked as read, unless the caller's own request caused it.
    """
    return await activity_listing.list_activity(call.session, call.caller, query)


@router.post("/mark_read", summary="Mark activity as read")
async def mark_read(call: TaskWrite, body: Body[MarkReadIn]) -> MarkedOut:
    """Mark the newest activity of tasks as read by the caller.

    A row is marked if its `activity_at` is not later than `seen_before`: what has happened since then stays unread.
    Marks are the caller's own, and are never taken back.
    """
    return await activity_listing.mark_read(call.session, call.caller, body)
