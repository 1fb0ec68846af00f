"""Routes of presence: devices that show a task (contract 5.6, 5.7), and viewers of tasks (17.10)."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.schemas.devices.presence import PresenceIn, PresenceLeaveIn, PresenceLeaveQuery
from app.schemas.viewers import ViewersOut
from app.services.notifications import presence
from app.services.tasks.task_reading import list_viewers
from app.web.auth import TaskRead, TaskWrite
from app.web.body import Body
from app.web.dependencies import TaskId
from app.web.unit_route import UnitRoute

_TASK = "/tasks/{task_id}"

router = APIRouter(prefix="/api/projects/{project_id}", tags=["push"], route_class=UnitRoute)


@router.post(
    _TASK + "/presence",
    summary="Report that a device shows a task",
    response_description="The device counts as watching.",
)
async def beat(call: TaskWrite, body: Body[PresenceIn], task_id: TaskId) -> None:
    """Count one of the caller's devices as watching the task for the next 60 seconds.

    Call this operation about every 30 seconds. While the device is also focused, pushes to the caller about the task
    are deferred. They are sent 5 seconds after the presence has expired, unless the event was seen or the question was
    answered.
    """
    await presence.report(call.session, call.caller, task_id, body)


@router.delete(
    _TASK + "/presence",
    summary="End the presence of a device",
    response_description="The device does not count as watching.",
)
async def leave(
    call: TaskWrite,
    body: Body[PresenceLeaveIn],
    query: Annotated[PresenceLeaveQuery, Query()],
    task_id: TaskId,
) -> None:
    """End the presence of a device on a task at once.

    The response is 204 even if the device was not watching, or belongs to another user. Deferred pushes about events
    that the person has seen are dropped. If the device has reported `seen_seq`, the number of the last event that it
    has shown, these are the events up to that number. Otherwise, if the device was focused, they are all events until
    now.
    """
    await presence.leave(call.session, call.caller, task_id, body.device_or(query))


@router.get("/viewers", summary="List the viewers of tasks")
async def viewers(call: TaskRead) -> ViewersOut:
    """Return the members of the project who look at a task that the caller can see, each with that task.

    A member looks at a task while one of their devices shows it in focus. The list includes the caller. It has at most
    500 entries, sorted by the last report of a device about them, latest first. Poll at most every 30 seconds.
    """
    return await list_viewers(call.session, call.caller)
