"""Reasons for and against pushes, the test push, preferences and mute, over HTTP (contract 7, 16)."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.web_push.vapid import VapidKey
from app.db import SessionFactory, unit_of_work
from app.enums import NotificationKind, Platform
from app.ids import new_id
from app.models import PushToken, QuestionSnooze, Run, Task, User
from app.runtime import ProcessContext
from app.services.notifications import push_recipients as notifications
from app.worker.loops import pushes
from tests.support.assertions import assert_invalid, assert_not_found, assert_page
from tests.support.callers import CallerKind
from tests.support.clock import MovableClock, wire_time
from tests.support.devices import make_device, make_presence
from tests.support.questions import make_question
from tests.support.stand_ins.push import Fault, PushService

PREFERENCES = "/api/users/@me/notification_preferences"
NO_DEVICE = "The caller has no such device."

Trigger = Callable[[NotificationKind], Awaitable[None]]

# Rows are made at the time at which it stands.
pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def trigger(sessions: SessionFactory, run: Run) -> Trigger:
    """Let the run reach something that is worth a push."""

    async def trigger(kind: NotificationKind) -> None:
        async with unit_of_work(sessions) as session:
            await notifications.notify_people(session, kind, [run.id])

    return trigger


@pytest.fixture
def trial_url(task_url: str) -> str:
    """The path that requests a test push."""
    return f"{task_url}/notifications/test"


async def listed(client: httpx.AsyncClient, url: str, *, count: int) -> list[dict[str, Any]]:
    return assert_page(await client.get(f"{url}/notifications/"), count=count)


async def test_deferred_push_names_its_reason(
    client: httpx.AsyncClient,
    session: AsyncSession,
    clock: MovableClock,
    task_url: str,
    task: Task,
    run: Run,
    device: PushToken,
    trigger: Trigger,
) -> None:
    await make_presence(session, task=task, device=device)
    clock.advance(seconds=12.5)
    await trigger(NotificationKind.COMPLETED)

    [row] = await listed(client, task_url, count=1)

    at = wire_time(clock)
    # The last beat expires in 47.5 seconds.
    due_at = f"{clock.now + timedelta(seconds=52.5):%Y-%m-%dT%H:%M:%S.%fZ}"
    assert row == {
        "id": row["id"],
        "run": str(run.id),
        "kind": "completed",
        "title": None,
        "body": '"Fix the login page" finished',
        "device": str(device.id),
        "platform": "ios",
        "decision": "deferred",
        "reason": "presence",
        "watched_by": {"device": str(device.id), "seconds_ago": 12.5},
        "attempts": 0,
        "created_at": at,
        "next_attempt_at": due_at,
        "due_at": due_at,
        "deferred_for": None,
        "sent_at": None,
        "settled_at": None,
        "history": [{"decision": "deferred", "reason": "presence", "at": at}],
    }


async def test_device_is_named_with_the_age_of_its_beat_at_the_decision_that_it_led_to(
    client: httpx.AsyncClient,
    session: AsyncSession,
    process: ProcessContext,
    clock: MovableClock,
    task_url: str,
    task: Task,
    run: Run,
    device: PushToken,
    owner: User,
) -> None:
    """Regression: of a notice that had waited for another reason, it was that at the first decision, negative."""
    question = await make_question(session, task=task, run=run)
    until = clock.now + timedelta(minutes=1)
    session.add(QuestionSnooze(question_id=question.id, user_id=owner.id, until=until))
    await session.flush()
    async with unit_of_work(process.sessions) as own:
        await notifications.notify_people(own, NotificationKind.AWAITING, [run.id], question_id=question.id)
    clock.advance(seconds=50)
    await make_presence(session, task=task, device=device)
    clock.advance(seconds=10)

    assert await pushes.deliver_due(process) == 0

    [row] = await listed(client, task_url, count=1)
    assert row["watched_by"] == {"device": str(device.id), "seconds_ago": 10.0}


async def test_events_are_listed_newest_first(
    client: httpx.AsyncClient, clock: MovableClock, task_url: str, trigger: Trigger
) -> None:
    for kind in (NotificationKind.AWAITING, NotificationKind.AWAITING, NotificationKind.FAILED):
        await trigger(kind)
        clock.advance(seconds=1)

    rows = await listed(client, task_url, count=3)

    assert [(row["kind"], row["decision"]) for row in rows] == [
        ("failed", "no_token"),
        ("awaiting", "cooled_down"),
        ("awaiting", "no_token"),
    ]


@pytest.mark.caller(CallerKind.MEMBER)
async def test_pushes_of_others_are_not_listed(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, task_url: str, trigger: Trigger
) -> None:
    await session.execute(update(Task).where(Task.id == task.id).values(origin_product="onboarding"))
    await trigger(NotificationKind.COMPLETED)
    assert await listed(client, task_url, count=0) == []


async def test_test_push_answers_the_ticket(
    client: httpx.AsyncClient, task_url: str, trial_url: str, device: PushToken, push_service: PushService
) -> None:
    response = await client.post(f"{trial_url}/", json={"device_id": str(device.id)})

    assert response.status_code == 200, response.text
    body = response.json()
    [message] = push_service.received
    assert (message["to"], message["body"]) == (device.token, '"Fix the login page": this is a test')
    assert body == {
        "id": body["id"],
        "device": str(device.id),
        "platform": "ios",
        "decision": "sent",
        "reason": None,
        "ticket": body["ticket"],
    }
    assert body["ticket"].startswith("ticket-")
    [row] = await listed(client, task_url, count=1)
    assert (row["id"], row["kind"], row["decision"]) == (body["id"], "test", "sent")


async def test_test_push_goes_to_the_device_that_is_named_or_was_last_seen(
    client: httpx.AsyncClient,
    session: AsyncSession,
    owner: User,
    clock: MovableClock,
    trial_url: str,
    device: PushToken,
    push_service: PushService,
) -> None:
    clock.advance(seconds=1)
    newer = await make_device(session, user=owner)
    await client.post(trial_url)
    await client.post(trial_url, json={"device_id": str(device.id)})
    assert push_service.tokens == [newer.token, device.token]


async def test_test_push_to_a_dead_device_says_so_and_removes_it(
    client: httpx.AsyncClient, trial_url: str, device: PushToken, push_service: PushService
) -> None:
    push_service.dead.add(device.token)
    body = (await client.post(trial_url)).json()
    assert (body["decision"], body["reason"]) == ("rejected", "DeviceNotRegistered")
    assert_not_found(await client.post(trial_url), NO_DEVICE)


async def test_test_push_while_the_service_is_down_is_tried_again(
    client: httpx.AsyncClient, trial_url: str, device: PushToken, push_service: PushService
) -> None:
    push_service.faults.append(Fault(503))
    body = (await client.post(trial_url, json={"device_id": str(device.id)})).json()
    assert (body["decision"], body["reason"], body["ticket"]) == ("retrying", "HTTP 503", None)


async def test_test_push_to_a_foreign_device_is_not_found(
    client: httpx.AsyncClient,
    session: AsyncSession,
    colleague: User,
    trial_url: str,
    push_service: PushService,
) -> None:
    foreign = await make_device(session, user=colleague)
    for device_id in (foreign.id, new_id()):
        assert_not_found(await client.post(trial_url, json={"device_id": str(device_id)}), NO_DEVICE)
    assert push_service.batches == []


async def test_muted_task_pushes_nothing_until_it_is_unmuted(
    client: httpx.AsyncClient, clock: MovableClock, task_url: str, device: PushToken, trigger: Trigger
) -> None:
    assert (await client.get(f"{task_url}/mute/")).json() == {"muted": False}
    for _ in range(2):
        assert (await client.put(f"{task_url}/mute/")).status_code == 204
    assert (await client.get(f"{task_url}/mute/")).json() == {"muted": True}
    await trigger(NotificationKind.AWAITING)
    for _ in range(2):
        assert (await client.delete(f"{task_url}/mute/")).status_code == 204
    clock.advance(seconds=30)
    await trigger(NotificationKind.AWAITING)

    rows = await listed(client, task_url, count=2)

    assert [(row["decision"], row["reason"], row["device"]) for row in rows] == [
        ("pending", None, str(device.id)),
        ("muted", "task_muted", None),
    ]


async def test_preferences_start_with_everything_and_change_by_kind(client: httpx.AsyncClient) -> None:
    everything: dict[str, Any] = {
        "completed": True,
        "failed": True,
        "cancelled": True,
        "awaiting": True,
        "notify_user": True,
        "quiet_hours": None,
        "allow_during_quiet": [],
        "push_text": "title",
        "reminder_after_seconds": None,
    }
    assert (await client.get(PREFERENCES)).json() == everything

    answers = [
        (await client.patch(PREFERENCES + "/", json=change)).json()
        for change in ({"cancelled": "no"}, {"failed": False}, {"cancelled": True}, {})
    ]

    assert answers[0] == everything | {"cancelled": False}
    assert answers[-1] == everything | {"failed": False}
    assert (await client.get(PREFERENCES)).json() == everything | {"failed": False}
    assert_invalid(await client.patch(PREFERENCES, json={"failed": "maybe"}), "failed", "invalid_input")


async def test_public_key_is_the_one_of_the_setting_or_not_found(
    client: httpx.AsyncClient, application: FastAPI, process: ProcessContext
) -> None:
    url = "/api/push/vapid_public_key"
    assert_not_found(await client.get(url), "Web push is not configured.")
    private_key = VapidKey.generate()
    settings = process.settings.model_copy(update={"vapid_private_key": private_key})
    application.state.process = replace(process, settings=settings)
    assert (await client.get(f"{url}/")).json() == {"public_key": VapidKey(private_key).public_key}
    assert Platform.WEB in process.push().senders


async def test_status_set_by_a_client_is_notified_of_once(
    client: httpx.AsyncClient, task_url: str, run: Run, device: PushToken
) -> None:
    """The first end of a run feeds the push, from any source (contract 6.4); repeats do not."""
    for _ in range(2):
        response = await client.patch(f"{task_url}/runs/{run.id}/", json={"status": "completed"})
        assert response.status_code == 200

    [row] = await listed(client, task_url, count=1)
    assert (row["kind"], row["decision"], row["device"]) == ("completed", "pending", str(device.id))
