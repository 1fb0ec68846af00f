"""Why a push came or did not, the test push, preferences and mute, over HTTP."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.clients.web_push import VapidKey
from app.db import SessionFactory, unit_of_work
from app.enums import NotificationKind, Platform
from app.ids import new_id
from app.models import Project, PushToken, Run, Task, User
from app.runtime import ProcessContext
from app.services.notifications import dispatch as notifications
from tests.support.assertions import assert_invalid, assert_not_found, assert_page, assert_permission_denied
from tests.support.callers import CallerKind, bearer
from tests.support.clock import MovableClock
from tests.support.devices import make_device, make_presence
from tests.support.factories import make_key, make_run, make_task, make_user
from tests.support.fakes import RecordingQueue
from tests.support.push import Fault, PushService

PREFERENCES = "/api/users/@me/notification_preferences"


@pytest.fixture
async def task(sessions: SessionFactory, project: Project, owner: User, clock: MovableClock) -> Task:
    async with unit_of_work(sessions) as session:
        return await make_task(
            session, project=project, created_by=owner, title="Fix it", created_at=clock.now
        )


@pytest.fixture
async def run(sessions: SessionFactory, task: Task) -> Run:
    async with unit_of_work(sessions) as session:
        return await make_run(session, task=task)


@pytest.fixture
async def device(sessions: SessionFactory, owner: User, clock: MovableClock) -> PushToken:
    async with unit_of_work(sessions) as session:
        return await make_device(session, user=owner, created_at=clock.now)


@pytest.fixture
def url(tasks_url: str, task: Task) -> str:
    return f"{tasks_url}/{task.id}"


async def trigger(sessions: SessionFactory, run: Run, kind: NotificationKind) -> None:
    async with unit_of_work(sessions) as session:
        await notifications.request(session, kind, [run.id])


async def listed(client: httpx.AsyncClient, url: str, *, count: int) -> list[dict[str, Any]]:
    return assert_page(await client.get(f"{url}/notifications/"), count=count)


async def test_suppressed_push_names_its_reason(
    client: httpx.AsyncClient,
    sessions: SessionFactory,
    clock: MovableClock,
    url: str,
    task: Task,
    run: Run,
    device: PushToken,
) -> None:
    async with unit_of_work(sessions) as session:
        await make_presence(session, task=task, device=device)
    clock.advance(seconds=12.5)
    await trigger(sessions, run, NotificationKind.COMPLETED)

    [row] = await listed(client, url, count=1)

    at = f"{clock.now:%Y-%m-%dT%H:%M:%S.%fZ}"
    assert row == {
        "id": row["id"],
        "run": str(run.id),
        "kind": "completed",
        "body": '"Fix it" finished',
        "device": str(device.id),
        "platform": "ios",
        "decision": "suppressed",
        "reason": "presence",
        "watched_by": {"device": str(device.id), "seconds_ago": 12.5},
        "attempts": 0,
        "created_at": at,
        "next_attempt_at": None,
        "sent_at": None,
        "settled_at": at,
    }


async def test_events_are_listed_newest_first(
    client: httpx.AsyncClient, sessions: SessionFactory, clock: MovableClock, url: str, run: Run
) -> None:
    for kind in (NotificationKind.AWAITING, NotificationKind.AWAITING, NotificationKind.FAILED):
        await trigger(sessions, run, kind)
        clock.advance(seconds=1)

    rows = await listed(client, url, count=3)

    assert [(row["kind"], row["decision"]) for row in rows] == [
        ("failed", "no_token"),
        ("awaiting", "cooled_down"),
        ("awaiting", "no_token"),
    ]


async def test_other_peoples_pushes_are_not_listed(
    client: httpx.AsyncClient, sessions: SessionFactory, project: Project, tasks_url: str
) -> None:
    async with unit_of_work(sessions) as session:
        other = await make_user(session, projects=[project])
        shared = await make_task(session, project=project, created_by=other, origin_product="onboarding")
        private = await make_task(session, project=project, created_by=other)
        run = await make_run(session, task=shared)
    await trigger(sessions, run, NotificationKind.COMPLETED)

    assert await listed(client, f"{tasks_url}/{shared.id}", count=0) == []
    assert_not_found(await client.get(f"{tasks_url}/{private.id}/notifications"))


async def test_test_push_answers_the_ticket(
    client: httpx.AsyncClient, url: str, device: PushToken, push_service: PushService
) -> None:
    response = await client.post(f"{url}/notifications/test/", json={"device_id": str(device.id)})

    assert response.status_code == 200, response.text
    body = response.json()
    [message] = push_service.received
    assert message["to"] == device.token
    assert message["body"] == '"Fix it": this is a test'
    assert body == {
        "id": body["id"],
        "device": str(device.id),
        "platform": "ios",
        "decision": "sent",
        "reason": None,
        "ticket": body["ticket"],
    }
    assert body["ticket"].startswith("ticket-")
    [row] = await listed(client, url, count=1)
    assert (row["id"], row["kind"], row["decision"]) == (body["id"], "test", "sent")


async def test_test_push_goes_to_the_device_last_seen(
    client: httpx.AsyncClient,
    sessions: SessionFactory,
    owner: User,
    clock: MovableClock,
    url: str,
    device: PushToken,
    push_service: PushService,
) -> None:
    clock.advance(seconds=1)
    async with unit_of_work(sessions) as session:
        newer = await make_device(session, user=owner)

    await client.post(f"{url}/notifications/test")

    assert push_service.tokens == [newer.token]
    assert newer.id != device.id


async def test_test_push_to_a_dead_device_says_so_and_forgets_it(
    client: httpx.AsyncClient, url: str, device: PushToken, push_service: PushService
) -> None:
    push_service.dead.add(device.token)

    body = (await client.post(f"{url}/notifications/test")).json()

    assert (body["decision"], body["reason"]) == ("rejected", "DeviceNotRegistered")
    assert_not_found(await client.post(f"{url}/notifications/test"), "The caller has no such device.")


async def test_test_push_while_the_service_is_down_is_tried_again(
    client: httpx.AsyncClient, url: str, device: PushToken, push_service: PushService
) -> None:
    push_service.faults.append(Fault(503))

    body = (await client.post(f"{url}/notifications/test", json={"device_id": str(device.id)})).json()

    assert (body["decision"], body["reason"], body["ticket"]) == ("retrying", "HTTP 503", None)


async def test_test_push_needs_user_write(
    anonymous: httpx.AsyncClient, sessions: SessionFactory, owner: User, url: str
) -> None:
    async with unit_of_work(sessions) as session:
        key = await make_key(session, user=owner, scopes=["task:write", "user:read"])

    response = await anonymous.post(f"{url}/notifications/test", headers=bearer(key))

    assert_permission_denied(response, "API key missing required scope 'user:write'")


async def test_test_push_to_a_foreign_device_is_not_found(
    client: httpx.AsyncClient, sessions: SessionFactory, project: Project, url: str, push_service: PushService
) -> None:
    async with unit_of_work(sessions) as session:
        foreign = await make_device(session, user=await make_user(session, projects=[project]))

    for device_id in (foreign.id, new_id()):
        response = await client.post(f"{url}/notifications/test", json={"device_id": str(device_id)})
        assert_not_found(response, "The caller has no such device.")
    assert push_service.batches == []


async def test_muted_task_pushes_nothing_until_it_is_unmuted(
    client: httpx.AsyncClient,
    sessions: SessionFactory,
    clock: MovableClock,
    url: str,
    run: Run,
    device: PushToken,
) -> None:
    for _ in range(2):
        assert (await client.put(f"{url}/mute/")).status_code == 204
    await trigger(sessions, run, NotificationKind.AWAITING)
    for _ in range(2):
        assert (await client.delete(f"{url}/mute/")).status_code == 204
    clock.advance(seconds=30)
    await trigger(sessions, run, NotificationKind.AWAITING)

    rows = await listed(client, url, count=2)

    assert [(row["decision"], row["reason"], row["device"]) for row in rows] == [
        ("pending", None, str(device.id)),
        ("muted", "task_muted", None),
    ]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_task_that_is_not_visible_cannot_be_muted(
    client: httpx.AsyncClient, sessions: SessionFactory, project: Project, tasks_url: str, method: str
) -> None:
    async with unit_of_work(sessions) as session:
        other = await make_user(session, projects=[project])
        private = await make_task(session, project=project, created_by=other)

    assert_not_found(await client.request(method, f"{tasks_url}/{private.id}/mute"))


async def test_preferences_start_with_everything_and_change_by_kind(client: httpx.AsyncClient) -> None:
    everything = {"completed": True, "failed": True, "cancelled": True, "awaiting": True}
    assert (await client.get(PREFERENCES)).json() == everything

    answers = [
        (await client.patch(PREFERENCES + "/", json=change)).json()
        for change in ({"cancelled": "no"}, {"failed": False}, {"cancelled": True}, {})
    ]

    assert answers[0] == everything | {"cancelled": False}
    assert answers[-1] == everything | {"failed": False}
    assert (await client.get(PREFERENCES)).json() == everything | {"failed": False}


async def test_preferences_refuse_what_is_no_boolean(client: httpx.AsyncClient) -> None:
    assert_invalid(await client.patch(PREFERENCES, json={"failed": "maybe"}), "failed", "invalid_input")


@pytest.mark.caller(CallerKind.READ_ONLY)
async def test_read_only_key_changes_nothing(client: httpx.AsyncClient, url: str) -> None:
    for response in (
        await client.patch(PREFERENCES, json={"failed": False}),
        await client.put(f"{url}/mute"),
        await client.post(f"{url}/notifications/test"),
    ):
        assert response.status_code == 403


async def test_public_key_is_not_found_where_web_push_is_not_configured(client: httpx.AsyncClient) -> None:
    assert_not_found(await client.get("/api/push/vapid_public_key"), "Web push is not configured.")


async def test_public_key_is_the_one_of_the_setting(
    client: httpx.AsyncClient, application: FastAPI, process: ProcessContext
) -> None:
    private_key = VapidKey.generate()
    application.state.process = replace(
        process, settings=process.settings.model_copy(update={"vapid_private_key": private_key})
    )

    response = await client.get("/api/push/vapid_public_key/")

    assert response.json() == {"public_key": VapidKey(private_key).public_key}
    assert Platform.WEB in process.push


async def test_status_set_by_a_client_is_told_and_delivered_at_once(
    client: httpx.AsyncClient, queue: RecordingQueue, url: str, run: Run, device: PushToken
) -> None:
    """The first end of a run feeds the push, whoever makes it (contract 6.4); repeats do not."""
    for _ in range(2):
        response = await client.patch(f"{url}/runs/{run.id}/", json={"status": "completed"})
        assert response.status_code == 200

    [row] = await listed(client, url, count=1)
    assert (row["kind"], row["decision"], row["device"]) == ("completed", "pending", str(device.id))
    assert "deliver_notifications" in [job.name for job in queue.jobs]
