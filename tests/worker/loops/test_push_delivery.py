"""Delivery: what a worker does with pending pushes, and what faults of push services and kills leave behind."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from app.clients.expo.expo_client import MAX_PARALLEL_SENDS, ExpoClient, open_http
from app.clients.pushes.push import MESSAGES_PER_REQUEST, PushSender
from app.db import SessionFactory, unit_of_work
from app.enums import NotificationDecision, Platform
from app.models import Notification, PushToken, Task, User
from app.runtime import ProcessContext
from app.services.notifications.push_delivery import PUSHES_PER_CLAIM
from app.services.retrying.policies import PUSH_LEASE, PUSH_PROBES
from app.worker.loops import pushes
from app.worker.loops.pushes import PUSH_LANES
from tests.support.clock import MovableClock
from tests.support.devices import make_device, make_many_pending, make_pending, notifications_of
from tests.support.factories import make_project, make_task, make_user
from tests.support.stand_ins.push import Fault, PushService, ScriptedSender, expo_application, with_push
from tests.support.waiting import eventually
from tests.support.web.serving import serving


@pytest.fixture
def seconds() -> float:
    """The seconds that Expo may take for an answer."""
    return 120


@pytest.fixture
async def expo(push_service: PushService, seconds: float) -> AsyncGenerator[ExpoClient, None]:
    """The real client, on a real socket."""
    async with serving(expo_application(push_service)) as base_url, open_http(base_url) as http:
        yield ExpoClient(
            http,
            base_url=base_url,
            access_token=None,
            rate=None,
            next_probe=PUSH_PROBES.next_at,
            timeout_seconds=seconds,
        )


@pytest.fixture
def senders(expo: ExpoClient) -> dict[Platform, PushSender]:
    return {Platform.IOS: expo, Platform.ANDROID: expo}


@pytest.fixture
def worker(
    process: ProcessContext,
    sessions: SessionFactory,
    expo: ExpoClient,
    senders: dict[Platform, PushSender],
) -> ProcessContext:
    """The process context of a worker, with a transaction of its own each time."""
    return with_push(replace(process, sessions=sessions), senders=senders, receipts=expo)


@pytest.fixture
async def owner(sessions: SessionFactory) -> User:
    async with unit_of_work(sessions) as session:
        return await make_user(session, projects=[await make_project(session)])


@pytest.fixture
async def task(sessions: SessionFactory, owner: User, clock: MovableClock) -> Task:
    async with unit_of_work(sessions) as session:
        project = await make_project(session)
        return await make_task(session, project=project, created_by=owner, created_at=clock.now)


async def deliver_due(worker: ProcessContext) -> int:
    return await pushes.deliver_due(worker)


async def pending(sessions: SessionFactory, task: Task, owner: User, **device: Any) -> PushToken:
    """Make a device and a push for it that is due; return the device."""
    async with unit_of_work(sessions) as session:
        made = await make_device(session, user=owner, **device)
        await make_pending(session, task=task, device=made)
    return made


async def only_row(sessions: SessionFactory, task: Task) -> Notification:
    [row] = await notifications_of(sessions, task)
    return row


async def tokens(sessions: SessionFactory) -> set[str]:
    async with unit_of_work(sessions) as session:
        return set(await session.scalars(select(PushToken.token)))


async def test_accepted_push_is_sent_and_keeps_its_ticket(
    worker: ProcessContext, task: Task, owner: User, push_service: PushService, clock: MovableClock
) -> None:
    device = await pending(worker.sessions, task, owner)
    clock.advance(seconds=2)

    assert await deliver_due(worker) == 1

    row = await only_row(worker.sessions, task)
    assert (row.decision, row.attempts, row.due_at) == (NotificationDecision.SENT, 1, None)
    assert row.ticket_id
    assert row.sent_at == clock.now
    assert push_service.received == [
        {
            "to": device.token,
            "title": "Taskbeacon",
            "body": '"A task" finished',
            "data": {"taskId": str(task.id)},
            "collapseId": f"n:{row.id}",
            "tag": f"n:{row.id}",
            "sound": "default",
        }
    ]
    assert await deliver_due(worker) == 0


async def test_token_of_a_dead_device_is_forgotten(
    worker: ProcessContext, task: Task, owner: User, push_service: PushService
) -> None:
    dead = await pending(worker.sessions, task, owner)
    alive = await pending(worker.sessions, task, owner)
    push_service.dead.add(dead.token)

    await deliver_due(worker)

    rows = {row.device_id: row for row in await notifications_of(worker.sessions, task)}
    assert (rows[dead.id].decision, rows[dead.id].reason) == ("rejected", "DeviceNotRegistered")
    assert rows[alive.id].decision == "sent"
    assert await tokens(worker.sessions) == {alive.token}


@pytest.mark.parametrize("is_others", [True, False])
async def test_dead_token_that_was_registered_since_its_push_stays(
    worker: ProcessContext,
    task: Task,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
    is_others: bool,
) -> None:
    device = await pending(worker.sessions, task, owner)
    push_service.dead.add(device.token)
    push_service.may_answer.clear()
    delivering = asyncio.create_task(deliver_due(worker))

    async def under_way() -> bool:
        return bool(push_service.batches)

    await eventually(under_way)
    async with unit_of_work(worker.sessions) as session:
        clock.advance(seconds=1)
        values: dict[str, Any] = (
            {"user_id": (await make_user(session)).id} if is_others else {"last_seen_at": clock.now}
        )
        await session.execute(update(PushToken).values(values))
    push_service.may_answer.set()
    await delivering

    assert await tokens(worker.sessions) == {device.token}


async def test_push_does_not_follow_a_device_to_another_user(
    worker: ProcessContext, task: Task, owner: User, push_service: PushService
) -> None:
    await pending(worker.sessions, task, owner)
    async with unit_of_work(worker.sessions) as session:
        other = await make_user(session)
        await session.execute(update(PushToken).values(user_id=other.id))

    await deliver_due(worker)

    row = await only_row(worker.sessions, task)
    assert (row.decision, row.reason, push_service.batches) == ("rejected", "TokenGone", [])


async def test_refused_message_keeps_its_token(
    worker: ProcessContext, task: Task, owner: User, push_service: PushService
) -> None:
    device = await pending(worker.sessions, task, owner)
    push_service.refused.add(device.token)

    await deliver_due(worker)

    row = await only_row(worker.sessions, task)
    assert (row.decision, row.reason) == ("rejected", "MessageTooBig")
    assert await tokens(worker.sessions) == {device.token}


@pytest.mark.parametrize(
    ("fault", "reason", "seconds"),
    [
        (Fault(429), "HTTP 429", 120),
        (Fault(503), "HTTP 503", 120),
        (Fault(body=b"<html>"), "UnreadableAnswer", 120),
        (Fault(hangs=True), "TimeoutError", 1),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_failure_of_the_service_is_retried_later_and_later(
    worker: ProcessContext,
    task: Task,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
    fault: Fault,
    reason: str,
) -> None:
    await pending(worker.sessions, task, owner)
    push_service.faults.extend([fault, fault])
    waits = []

    for _ in range(2):
        await deliver_due(worker)
        row = await only_row(worker.sessions, task)
        assert (row.decision, row.reason) == ("retrying", reason)
        assert row.due_at is not None
        waits.append((row.due_at - clock.now).total_seconds())
        assert await deliver_due(worker) == 0
        clock.now = row.due_at
    await deliver_due(worker)

    assert 5 <= waits[0] <= 7.5
    assert 10 <= waits[1] <= 15
    row = await only_row(worker.sessions, task)
    assert (row.decision, row.attempts, len(push_service.received)) == ("sent", 3, 1)


async def test_retry_waits_as_long_as_the_service_asks(
    worker: ProcessContext, task: Task, owner: User, push_service: PushService, clock: MovableClock
) -> None:
    await pending(worker.sessions, task, owner)
    push_service.faults.append(Fault(429, {"Retry-After": "120"}))

    await deliver_due(worker)

    row = await only_row(worker.sessions, task)
    assert row.due_at is not None
    assert row.due_at - clock.now >= timedelta(seconds=120)


async def test_push_that_fails_for_an_hour_is_given_up(
    worker: ProcessContext, task: Task, owner: User, push_service: PushService, clock: MovableClock
) -> None:
    await pending(worker.sessions, task, owner)
    clock.advance(hours=1)
    push_service.faults.append(Fault(503))

    await deliver_due(worker)

    row = await only_row(worker.sessions, task)
    assert (row.decision, row.reason, row.due_at) == ("given_up", "HTTP 503", None)


async def test_partial_success_pushes_nothing_twice(
    worker: ProcessContext, task: Task, owner: User, push_service: PushService, clock: MovableClock
) -> None:
    """Expo answers for three of five: only the two without a ticket are sent again."""
    for _ in range(5):
        await pending(worker.sessions, task, owner)
    push_service.faults.append(Fault(missing_tickets=2))

    await deliver_due(worker)
    ticketed = {row.device_id for row in await notifications_of(worker.sessions, task) if row.ticket_id}
    clock.advance(minutes=1)
    await deliver_due(worker)

    assert (len(ticketed), push_service.batches) == (3, [5, 2])
    assert all(row.decision == "sent" for row in await notifications_of(worker.sessions, task))


async def test_pushes_of_one_claim_end_each_in_its_own_way(
    worker: ProcessContext, task: Task, owner: User, push_service: PushService, clock: MovableClock
) -> None:
    """Dead, refused and accepted ones in several requests, one of which is answered by a failure."""
    async with unit_of_work(worker.sessions) as session:
        await make_many_pending(session, task=task, user=owner, count=PUSHES_PER_CLAIM + 1)
    known = sorted(await tokens(worker.sessions))
    push_service.dead |= set(known[:3])
    push_service.refused.add(known[3])
    push_service.faults.append(Fault(503))

    assert await deliver_due(worker) == PUSHES_PER_CLAIM + 1

    assert sorted(push_service.batches) == [
        1,
        *[MESSAGES_PER_REQUEST] * (PUSHES_PER_CLAIM // MESSAGES_PER_REQUEST),
    ]
    rows = await notifications_of(worker.sessions, task)
    undecided = [row for row in rows if row.decision == "retrying"]
    assert len(undecided) in {1, MESSAGES_PER_REQUEST}
    assert all(row.reason == "HTTP 503" and row.due_at and row.due_at > clock.now for row in undecided)
    clock.advance(minutes=1)
    await deliver_due(worker)

    rows = await notifications_of(worker.sessions, task)
    ends = Counter((row.decision, row.reason) for row in rows)
    assert ends == {
        ("sent", None): PUSHES_PER_CLAIM + 1 - 4,
        ("rejected", "DeviceNotRegistered"): 3,
        ("rejected", "MessageTooBig"): 1,
    }
    assert len({row.ticket_id for row in rows if row.ticket_id}) == PUSHES_PER_CLAIM + 1 - 4
    assert await tokens(worker.sessions) == set(known[3:])
    assert set(Counter(push_service.tokens).values()) == {1}


@pytest.mark.parametrize(
    ("fault", "reason"), [(Fault(breaks=True), "RuntimeError"), (Fault(forgets=True), "ValueError")]
)
async def test_request_that_fails_unexpectedly_fails_alone(
    fault: Fault,
    reason: str,
    worker: ProcessContext,
    task: Task,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Regression: it cancelled the other requests of its claim, which were on the wire, and no result was recorded."""
    broken = PushService()
    broken.faults.append(fault)
    senders = {**worker.push().senders, Platform.WEB: ScriptedSender(broken)}
    phone = await pending(worker.sessions, task, owner)
    browser = await pending(worker.sessions, task, owner, platform=Platform.WEB)

    assert await deliver_due(with_push(worker, senders=senders)) == 2

    rows = {row.device_id: row for row in await notifications_of(worker.sessions, task)}
    assert rows[phone.id].decision == "sent"
    assert (rows[browser.id].decision, rows[browser.id].reason) == ("retrying", reason)
    assert "push.unexpected_error" in caplog.text
    clock.advance(minutes=1)
    assert await deliver_due(with_push(worker, senders=senders)) == 1
    assert (push_service.tokens, set(broken.tokens)) == ([phone.token], {browser.token})


async def test_nothing_is_begun_when_its_claim_may_soon_be_anothers(
    worker: ProcessContext,
    task: Task,
    owner: User,
    push_service: PushService,
    push_senders: dict[Platform, PushSender],
) -> None:
    """Browsers are asked one by one: many slow ones take longer than a lease, and were pushed to twice."""
    await pending(worker.sessions, task, owner)

    await deliver_due(with_push(worker, senders=push_senders))

    [patience] = push_service.patience
    assert 0 < patience < (PUSH_LEASE - timedelta(seconds=10)).total_seconds()


async def test_claim_of_a_lost_worker_comes_up_again(
    worker: ProcessContext, task: Task, owner: User, push_service: PushService, clock: MovableClock
) -> None:
    await pending(worker.sessions, task, owner)
    async with unit_of_work(worker.sessions) as session:
        await session.execute(update(Notification).values(due_at=clock.now + PUSH_LEASE, attempts=1))

    assert await deliver_due(worker) == 0
    clock.advance(seconds=PUSH_LEASE.total_seconds())

    assert await deliver_due(worker) == 1
    assert len(push_service.received) == 1


async def test_no_log_line_holds_a_token(
    worker: ProcessContext,
    task: Task,
    owner: User,
    push_service: PushService,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    devices = [await pending(worker.sessions, task, owner) for _ in range(3)]
    push_service.dead.add(devices[0].token)
    push_service.refused.add(devices[1].token)
    push_service.faults.append(Fault(503))
    await deliver_due(worker)
    async with unit_of_work(worker.sessions) as session:
        await session.execute(update(Notification).values(due_at=Notification.created_at))
    await deliver_due(worker)

    assert "push.not_accepted" in caplog.text
    assert not [device.token for device in devices if device.token in caplog.text]


async def test_stopped_worker_begins_nothing_more_and_gives_the_rest_back_at_once(
    worker: ProcessContext, task: Task, owner: User, push_service: PushService
) -> None:
    """Sent requests are awaited and recorded; another worker need not wait for the lease of the other rows."""
    count = PUSH_LANES * PUSHES_PER_CLAIM
    async with unit_of_work(worker.sessions) as session:
        await make_many_pending(session, task=task, user=owner, count=count)
    push_service.may_answer.clear()
    job = asyncio.create_task(deliver_due(worker))

    async def wire_is_full() -> bool:
        return push_service.open_sends == MAX_PARALLEL_SENDS

    await eventually(wire_is_full)
    job.cancel()
    # By the time of this answer the lanes have the signal to stop.
    await worker.push().receipts.fetch_receipts(["ticket"])
    assert not job.done()
    push_service.may_answer.set()
    await asyncio.wait({job})

    assert job.cancelled()
    assert push_service.batches == [MESSAGES_PER_REQUEST] * MAX_PARALLEL_SENDS
    ends = Counter((row.decision, row.reason) for row in await notifications_of(worker.sessions, task))
    sent = MAX_PARALLEL_SENDS * MESSAGES_PER_REQUEST
    assert ends["sent", None] == sent
    assert ends["retrying", "NotReached"] + ends["pending", None] == count - sent
    assert await deliver_due(worker) == count - sent
    assert set(Counter(push_service.tokens).values()) == {1}
    assert len(push_service.received) == count


async def test_ten_thousand_pushes_survive_a_worker_that_is_stopped_twice(
    worker: ProcessContext, task: Task, owner: User, push_service: PushService
) -> None:
    async with unit_of_work(worker.sessions) as session:
        await make_many_pending(session, task=task, user=owner, count=10_000)
    push_service.delay_seconds = 0.02

    for sent_before in (2_000, 6_000):
        job = asyncio.create_task(deliver_due(worker))

        async def enough(limit: int = sent_before) -> bool:
            return len(push_service.received) >= limit

        await eventually(enough)
        job.cancel()
        await asyncio.wait({job})
        assert job.cancelled()
    await deliver_due(worker)

    counts = Counter(push_service.tokens)
    assert len(counts) == 10_000
    assert set(counts.values()) == {1}
    async with unit_of_work(worker.sessions) as session:
        sent = await session.scalar(
            select(func.count()).select_from(Notification).where(Notification.decision == "sent")
        )
    assert sent == 10_000
