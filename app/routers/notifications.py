"""Routes of push notifications: the decisions about them, the muting of tasks, and preferences."""

from fastapi import APIRouter

from app.schemas.notifications import (
    MuteOut,
    NotificationPage,
    PreferencesIn,
    PreferencesOut,
    PushTestIn,
    PushTestOut,
)
from app.services.notifications import notification_preferences, push_history, push_trial
from app.web.auth import ProjectUserWrite, TaskRead, TaskWrite, UserRead, UserWrite
from app.web.body import Body
from app.web.dependencies import TaskId
from app.web.pagination import PageDep
from app.web.responses import Json
from app.web.unit_route import UnitRoute

_TASK = "/projects/{project_id}/tasks/{task_id}"

router = APIRouter(prefix="/api", tags=["push"], route_class=UnitRoute)


@router.get(_TASK + "/notifications", summary="List the pushes about a task, with reasons")
async def list_notifications(call: TaskRead, task_id: TaskId, page: PageDep) -> Json[NotificationPage]:
    """Return the pushes to the caller about a task, newest first: one entry for each event and device.

    Pushes to other people are not shown. Entries are kept for 30 days.
    """
    count, results = await push_history.list_notifications(call.session, call.caller, task_id, page.asked)
    return Json(page.page(count, results))


@router.post(_TASK + "/notifications/test", summary="Send a test push to a device")
async def push_test(call: ProjectUserWrite, body: Body[PushTestIn], task_id: TaskId) -> PushTestOut:
    """Send a test push about a task to one of the caller's devices now, and return the push service's response.

    The push is sent regardless of presence, cooldown and preferences.
    """
    process = call.process
    return await push_trial.send_test_push(
        call.session, call.caller, task_id, body, senders=process.push().senders, settings=process.settings
    )


@router.get(_TASK + "/mute", summary="Retrieve whether a task is muted")
async def retrieve_mute(call: TaskRead, task_id: TaskId) -> MuteOut:
    """Return whether the caller has muted a task."""
    return {"muted": await notification_preferences.is_muted(call.session, call.caller, task_id)}


@router.put(
    _TASK + "/mute",
    summary="Mute a task",
    response_description="The caller gets no pushes about the task.",
)
async def mute_task(call: TaskWrite, task_id: TaskId) -> None:
    """Stop the pushes to the caller about a task; other people still get theirs."""
    await notification_preferences.mute_task(call.session, call.caller, task_id)


@router.delete(
    _TASK + "/mute",
    summary="Unmute a task",
    response_description="The caller gets pushes about the task.",
)
async def unmute_task(call: TaskWrite, task_id: TaskId) -> None:
    """Allow pushes to the caller about a task that the caller has muted."""
    await notification_preferences.unmute_task(call.session, call.caller, task_id)


@router.get("/users/@me/notification_preferences", summary="Retrieve the notification preferences")
async def retrieve_preferences(call: UserRead) -> PreferencesOut:
    """Return the notification preferences of the caller: the kinds of pushes, their times and their detail."""
    return await notification_preferences.retrieve_preferences(call.session, call.caller)


@router.patch("/users/@me/notification_preferences", summary="Update the notification preferences")
async def update_preferences(call: UserWrite, body: Body[PreferencesIn]) -> PreferencesOut:
    """Update the notification preferences of the caller: only the given fields change."""
    return await notification_preferences.update_preferences(call.session, call.caller, body)
