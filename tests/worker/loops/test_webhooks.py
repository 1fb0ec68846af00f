"""From events to receivers, on real servers: signed, retried, logged, fair, and stopped where it should be."""

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import DeliveryError, DeliveryStatus, DisabledReason, EventType
from app.models import Membership, Notification, Project, Task, User, WebhookEndpoint, WebhookEndpointDelivery
from app.services.retrying.policies import WEBHOOK_LEASE
from app.services.webhook_endpoints.delivery_claims import PER_ENDPOINT, claim_due
from tests.support.clock import MovableClock
from tests.support.devices import make_device
from tests.support.factories import make_task, make_user
from tests.support.stand_ins.receiver import Receiver, Reply, receiving
from tests.support.waiting import eventually
from tests.support.webhooks import Deliveries, attempts_of, make_endpoint, record_event


async def test_message_is_signed_as_the_official_library_verifies(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
) -> None:
    _, secret = await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    event_id = await record_event(sessions, task, data={"changed": ["title"]})

    await deliveries.deliver()

    (message,) = receiver.messages
    assert message.is_signed_by(secret)
    assert message.id == str(event_id)
    assert message.headers["content-type"] == "application/json"
    assert message.headers["user-agent"].startswith("Taskbeacon-Webhooks/")
    assert not any(name.startswith("x-") for name in message.headers)
    content = message.content
    assert list(content) == ["type", "timestamp", "data"]
    assert content["type"] == "task.updated"
    assert content["data"] == {
        "project_id": project.id,
        "task_id": str(task.id),
        "seq": 1,
        "url": f"/api/projects/{project.id}/tasks/{task.id}/",
        "changed": ["title"],
    }
    (row,) = await deliveries.rows()
    assert row.status == DeliveryStatus.DELIVERED
    assert row.body.encode() == message.body
    (attempt,) = await attempts_of(sessions, row)
    assert (attempt.outcome, attempt.status_code, attempt.error) == ("delivered", 200, None)
    assert attempt.response_excerpt == "thank you"
    assert attempt.resolved_ip == "127.0.0.1"


async def test_failed_message_is_sent_again_by_schedule_under_the_same_id(
    sessions: SessionFactory,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
    clock: MovableClock,
    endpoint: WebhookEndpoint,
) -> None:
    receiver.replies += [Reply(500), Reply(500)]
    await record_event(sessions, task)

    await deliveries.deliver()
    for delay in (timedelta(seconds=5), timedelta(minutes=5)):
        (row,) = await deliveries.rows()
        assert row.status == DeliveryStatus.PENDING
        waited = row.due_at - clock.now
        assert delay <= waited <= delay * 1.2
        clock.now = row.due_at - timedelta(milliseconds=1)
        await deliveries.deliver()
        assert len(receiver.messages) == row.attempts
        clock.now = row.due_at
        await deliveries.deliver()

    (row,) = await deliveries.rows()
    assert row.status == DeliveryStatus.DELIVERED
    assert len({message.id for message in receiver.messages}) == 1
    assert len({message.body for message in receiver.messages}) == 1
    timestamps = [int(message.headers["webhook-timestamp"]) for message in receiver.messages]
    assert all(earlier < later for earlier, later in pairwise(timestamps))
    attempts = await attempts_of(sessions, row)
    assert [attempt.status_code for attempt in attempts] == [500, 500, 200]
    assert [attempt.error for attempt in attempts] == ["http_5xx", "http_5xx", None]
    assert attempts[0].next_attempt_at == attempts[1].started_at
    assert attempts[2].next_attempt_at is None
    healed = await deliveries.endpoint(endpoint)
    assert healed.consecutive_failures == 0
    assert healed.last_success_at == clock.now


async def test_message_is_given_up_after_ten_attempts_in_about_75_hours(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    scripted: Deliveries,
    clock: MovableClock,
) -> None:
    await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    receiver.always = Reply(503)
    began = clock.now
    await record_event(sessions, task)

    await scripted.deliver()
    while (row := (await scripted.rows())[0]).status == DeliveryStatus.PENDING:
        clock.now = row.due_at
        await scripted.deliver()

    assert row.status == DeliveryStatus.FAILED
    assert len(receiver.messages) == row.attempts == 10
    assert timedelta(hours=75) < clock.now - began < timedelta(hours=92)


@pytest.mark.parametrize(
    ("reply", "wait"),
    [
        (Reply(429, {"Retry-After": "120"}), timedelta(seconds=120)),
        (Reply(500, {"Retry-After": "9999999999"}), timedelta(hours=24)),
        (
            Reply(404, {"Retry-After": "Sun, 01 Mar 2026 11:00:00 GMT"}),
            timedelta(minutes=59, seconds=59.876544),
        ),
    ],
)
async def test_wish_of_the_receiver_goes_before_a_shorter_schedule(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
    clock: MovableClock,
    reply: Reply,
    wait: timedelta,
) -> None:
    await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    receiver.replies.append(reply)
    await record_event(sessions, task)

    await deliveries.deliver()

    (row,) = await deliveries.rows()
    assert row.due_at - clock.now == wait


async def test_wish_that_is_shorter_than_the_schedule_changes_nothing(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
    clock: MovableClock,
) -> None:
    await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    receiver.replies.append(Reply(503, {"Retry-After": "1"}))
    await record_event(sessions, task)

    await deliveries.deliver()

    (row,) = await deliveries.rows()
    assert row.due_at - clock.now >= timedelta(seconds=5)


async def test_receiver_that_is_gone_is_disabled_and_its_creator_notified(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
) -> None:
    await make_device(session, user=owner)
    gone, _ = await make_endpoint(
        session, project=project, created_by=owner, url=receiver.url("gone"), event_types=["task.*"]
    )
    other, _ = await make_endpoint(
        session,
        project=project,
        created_by=owner,
        url=receiver.url("other"),
        event_types=["webhook_endpoint.*"],
    )
    stranger = await make_user(session, projects=[project])
    await make_endpoint(session, project=project, created_by=stranger, url=receiver.url("stranger"))
    receiver.replies.append(Reply(410))
    await record_event(sessions, task)

    await deliveries.deliver()

    disabled = await deliveries.endpoint(gone)
    assert (disabled.enabled, disabled.disabled_reason) == (False, DisabledReason.GONE)
    assert len(receiver.at("gone")) == 1
    (message,) = receiver.at("other")
    assert message.data == {"project_id": project.id, "endpoint_id": str(gone.id), "reason": "gone"}
    assert receiver.at("stranger") == []
    push = await session.scalar(select(Notification).where(Notification.user_id == owner.id))
    assert push is not None
    assert (push.kind, push.body) == ("webhook_disabled", 'The webhook endpoint "127.0.0.1" was disabled')
    assert [row.status for row in await deliveries.rows(endpoint_id=gone.id)] == [DeliveryStatus.FAILED]
    assert (await deliveries.endpoint(other)).enabled


async def test_endpoint_without_success_for_five_days_is_disabled_once_a_message_is_given_up(
    sessions: SessionFactory,
    task: Task,
    receiver: Receiver,
    scripted: Deliveries,
    clock: MovableClock,
    endpoint: WebhookEndpoint,
) -> None:
    receiver.always = Reply(500)
    await record_event(sessions, task)
    await scripted.deliver()
    while (row := (await scripted.rows())[0]).status == DeliveryStatus.PENDING:
        clock.now = row.due_at
        await scripted.deliver()
    assert (await scripted.endpoint(endpoint)).enabled

    clock.advance(days=3)
    await record_event(sessions, task)
    await scripted.deliver()

    disabled = await scripted.endpoint(endpoint)
    assert disabled.disabled_reason == DisabledReason.NO_SUCCESS
    assert disabled.consecutive_failures == 11
    assert [row.status for row in await scripted.rows()][-1] == DeliveryStatus.CANCELLED


async def test_redirect_is_a_failure_and_not_followed(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
) -> None:
    await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    receiver.replies.append(Reply(307, {"Location": receiver.url("elsewhere")}))
    await record_event(sessions, task)

    await deliveries.deliver()

    assert [message.path for message in receiver.messages] == ["/hook"]
    (row,) = await deliveries.rows()
    (attempt,) = await attempts_of(sessions, row)
    assert (attempt.error, attempt.status_code) == (DeliveryError.REDIRECT, 307)


async def test_both_secrets_sign_during_a_rotation_and_the_new_one_after_it(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
) -> None:
    endpoint, old = await make_endpoint(session, project=project, created_by=owner, url=receiver.url())
    receiver.replies.append(Reply(500))
    await record_event(sessions, task)
    await deliveries.deliver()
    # A retry that spans the rotation.
    _, new = await make_endpoint(
        session, project=project, created_by=owner, url=receiver.url("unused"), enabled=False
    )
    # Taken before the update, which the object in the session takes over.
    replaced, encrypted = endpoint.encrypted_secret, deliveries.process.cipher.encrypt(new)
    until = utcnow() + timedelta(hours=1)
    await session.execute(
        update(WebhookEndpoint)
        .where(WebhookEndpoint.id == endpoint.id)
        .values(encrypted_secret=encrypted, encrypted_old_secrets={until.isoformat(): replaced})
    )
    await session.execute(update(WebhookEndpointDelivery).values(due_at=utcnow()))
    await deliveries.deliver()
    await session.execute(
        update(WebhookEndpoint)
        .where(WebhookEndpoint.id == endpoint.id)
        .values(encrypted_old_secrets={utcnow().isoformat(): replaced})
    )
    await record_event(sessions, task)
    await deliveries.deliver()

    before, during, after = receiver.messages
    assert [message.is_signed_by(old) for message in receiver.messages] == [True, True, False]
    assert [message.is_signed_by(new) for message in receiver.messages] == [False, True, True]
    assert before.id == during.id != after.id


async def test_receiver_that_hangs_delays_no_other_and_gets_few_at_a_time(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
) -> None:
    await make_endpoint(
        session, project=project, created_by=owner, url=receiver.url("slow"), event_types=["task.updated"]
    )
    async with receiving() as other:
        await make_endpoint(
            session, project=project, created_by=owner, url=other.url(), event_types=["task.created"]
        )
        receiver.always = Reply(hangs=True)
        for _ in range(3 * PER_ENDPOINT):
            await record_event(sessions, task)
        await deliveries.relay()
        working = asyncio.create_task(deliveries.send_due())

        async def is_stuck() -> bool:
            return receiver.under_way == PER_ENDPOINT

        await eventually(is_stuck)
        another = Deliveries(deliveries.process, deliveries.sender)
        await record_event(sessions, task, EventType.TASK_CREATED)
        await another.deliver()

        assert len(other.messages) == 1
        assert receiver.most_under_way == PER_ENDPOINT
        receiver.always = None
        receiver.go_on.set()
        await working
        await deliveries.deliver()
    assert len({message.id for message in receiver.messages}) == 3 * PER_ENDPOINT


async def test_what_a_killed_worker_held_is_sent_by_another(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
    clock: MovableClock,
) -> None:
    await make_endpoint(session, project=project, created_by=owner, url=receiver.url(), enabled=True)
    await record_event(sessions, task)
    receiver.always = Reply(hangs=True)
    working = asyncio.create_task(deliveries.deliver())

    async def has_it() -> bool:
        return bool(receiver.messages)

    await eventually(has_it)
    for attempt in deliveries.deliverer._attempts:
        attempt.cancel()
    await working
    receiver.always = None
    await deliveries.deliver()
    assert len(receiver.messages) == 1

    clock.now += WEBHOOK_LEASE
    await deliveries.deliver()

    assert len(receiver.messages) == 2
    assert len({message.id for message in receiver.messages}) == 1
    (row,) = await deliveries.rows()
    assert (row.status, row.attempts) == (DeliveryStatus.DELIVERED, 2)


async def test_two_who_claim_never_hold_the_same_nor_more_than_an_endpoint_may_have(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
) -> None:
    for index in range(3):
        await make_endpoint(session, project=project, created_by=owner, url=receiver.url(str(index)))
    for _ in range(10):
        await record_event(sessions, task)
    await deliveries.relay()

    async def claim() -> list[Any]:
        async with unit_of_work(sessions) as own:
            return list(await claim_due(own, limit=5, cipher=deliveries.process.cipher))

    claimed = [delivery for taken in await asyncio.gather(*(claim() for _ in range(8))) for delivery in taken]

    assert len({delivery.row.id for delivery in claimed}) == len(claimed) == 3 * PER_ENDPOINT
    by_endpoint: dict[UUID, int] = {}
    for delivery in claimed:
        by_endpoint[delivery.row.endpoint_id] = by_endpoint.get(delivery.row.endpoint_id, 0) + 1
    assert set(by_endpoint.values()) == {PER_ENDPOINT}


async def test_endpoint_gets_what_its_creator_may_see_of_the_types_and_tasks_that_it_named(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    receiver: Receiver,
    deliveries: Deliveries,
) -> None:
    member = await make_user(session, projects=[project])
    left = await make_user(session, projects=[project])
    endpoints: tuple[tuple[str, User, dict[str, Any]], ...] = (
        ("all", owner, {}),
        ("runs", owner, {"event_types": ["run.*"]}),
        ("mine", owner, {"task_filter": {"created_by": "me"}}),
        ("shop", owner, {"task_filter": {"repository": "acme/shop"}}),
        ("slack", owner, {"task_filter": {"origin_product": "slack"}}),
        ("other", owner, {"task_filter": {"created_by": member.id}}),
        ("owners", owner, {"task_filter": {"created_by": owner.id}}),
        ("mine_in_shop", owner, {"task_filter": {"created_by": "me", "repository": "acme/shop"}}),
        ("member", member, {}),
        ("left", left, {}),
    )
    for name, creator, more in endpoints:
        await make_endpoint(session, project=project, created_by=creator, url=receiver.url(name), **more)
    await session.execute(delete(Membership).where(Membership.user_id == left.id))
    shared = await make_task(
        session, project=project, created_by=None, repository="acme/shop", origin_product="slack"
    )
    await record_event(sessions, task)
    await record_event(sessions, shared)

    await deliveries.deliver()

    got = {name: sorted(message.data["task_id"] for message in receiver.at(name)) for name, _, _ in endpoints}
    own, everyones = str(task.id), str(shared.id)
    assert got == {
        "all": sorted([own, everyones]),
        "runs": [],
        "mine": [own],
        "shop": [everyones],
        "slack": [everyones],
        "other": [],
        "owners": [own],
        "mine_in_shop": [],
        "member": [everyones],
        "left": [],
    }
