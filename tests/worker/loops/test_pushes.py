"""The loops that send what falls due without a job, and release what quiet hours have held."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.clients.wakes import WakeListener
from app.db import SessionFactory, unit_of_work
from app.enums import NotificationDecision
from app.models import Notification, NotificationPreferences, Project, PushToken, Run, Task, User
from app.runtime import ProcessContext
from app.services.notifications import digests
from app.services.retrying.policies import LOOP_SECONDS, PUSH_CLAIMS, PUSH_LEASE
from app.worker.loops.pushes import deliver_as_due, release_as_due, release_held
from tests.support.clock import MovableClock
from tests.support.database.faults import refusing, refusing_some, rolled_back
from tests.support.devices import make_device, make_pending, notifications_of
from tests.support.factories import make_user
from tests.support.stand_ins.push import PushService
from tests.support.waiting import eventually

HELD = NotificationDecision.HELD_QUIET_HOURS


@pytest.fixture
async def device(session: AsyncSession, owner: User) -> PushToken:
    return await make_device(session, user=owner)


@asynccontextmanager
async def working(process: ProcessContext) -> AsyncGenerator[None, None]:
    """Run the loops of a worker that send pushes during the block."""
    loops = [
        asyncio.create_task(deliver_as_due(process, WakeListener(process.redis, pause=LOOP_SECONDS))),
        asyncio.create_task(release_as_due(process)),
    ]
    try:
        yield
        assert not any(loop.done() for loop in loops)
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.wait(loops)


async def hold(session: AsyncSession, run: Run, task: Task, user: User, count: int = 1) -> list[Notification]:
    """Make notices to one device of a user that quiet hours have held until now."""
    device = await make_device(session, user=user)
    values: dict[str, Any] = {"run_id": run.id, "decision": HELD}
    return [await make_pending(session, task=task, device=device, **values) for _ in range(count)]


async def decisions(sessions: SessionFactory, task: Task) -> dict[Any, str]:
    return {row.id: row.decision for row in await notifications_of(sessions, task)}


async def test_what_falls_due_by_itself_is_delivered_without_a_job(
    process: ProcessContext,
    session: AsyncSession,
    task: Task,
    run: Run,
    device: PushToken,
    push_service: PushService,
    clock: MovableClock,
) -> None:
    waits = {"decision": NotificationDecision.DEFERRED, "due_at": clock.now + timedelta(seconds=5)}
    await make_pending(session, task=task, device=device, run_id=run.id, **waits)
    async with working(process):
        clock.advance(seconds=5)
        await eventually(lambda: bool(push_service.received))
    assert push_service.tokens == [device.token]


async def test_outage_of_the_database_is_a_warning_and_delays_pushes_only(
    process: ProcessContext,
    engine: AsyncEngine,
    session: AsyncSession,
    task: Task,
    device: PushToken,
    push_service: PushService,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Regression: an outage in a lane came as a group of errors, and ended the loop with a stack every two seconds."""
    await make_pending(session, task=task, device=device)
    async with working(process):
        async with refusing(engine, "notifications", code="57P01"):
            await eventually(lambda: "push.database_unavailable" in caplog.text)
        await eventually(lambda: bool(push_service.received))
    assert push_service.tokens == [device.token]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_digest_that_cannot_be_made_stops_no_other_and_no_push(
    process: ProcessContext,
    engine: AsyncEngine,
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    task: Task,
    run: Run,
    device: PushToken,
    push_service: PushService,
    clock: MovableClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Regression: neither the job nor the loop of pushes got further than the digests."""
    assert clock.now
    people = [await make_user(session, projects=[project]) for _ in range(4)]
    bad, *good = [await hold(session, run, task, user, count=2) for user in people]
    await make_pending(session, task=task, device=device)
    condition = f"NEW.user_id = {people[0].id} AND NEW.kind = 'digest'"

    async with refusing_some(engine, "notifications", condition), working(process):
        await eventually(lambda: len(push_service.received) == 1 + len(good))

    bodies = sorted(message["body"] for message in push_service.received)
    assert bodies == sorted([f'"{task.title}" finished', *["1 task finished"] * len(good)])
    ends = await decisions(sessions, task)
    assert {ends[row.id] for notices in good for row in notices} == {"digested"}
    assert [ends[row.id] for row in bad] == [HELD] * 2
    # Once, until its lease has passed.
    assert caplog.text.count("push.digest_not_made") == 1
    clock.advance(seconds=PUSH_LEASE.total_seconds())
    await release_held(process)
    assert {(await decisions(sessions, task))[row.id] for row in bad} == {"digested"}


async def test_held_notice_that_cannot_be_stored_holds_up_no_other_of_its_person(
    process: ProcessContext,
    engine: AsyncEngine,
    session: AsyncSession,
    sessions: SessionFactory,
    owner: User,
    task: Task,
    run: Run,
    clock: MovableClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Regression: the others of the person were not released either."""
    bad, *good = await hold(session, run, task, owner, count=3)
    condition = f"NEW.id = '{bad.id}' AND NEW.decision <> '{HELD}'"

    async with refusing_some(engine, "notifications", condition):
        await release_held(process)

    ends = await decisions(sessions, task)
    assert ends == {bad.id: HELD} | {each.id: "digested" for each in good}
    made = select(Notification.user_id, Notification.body).where(Notification.kind == "digest")
    assert (await session.execute(made)).all() == [(owner.id, "1 task finished")]
    assert caplog.text.count("push.not_decided") == 1
    clock.advance(seconds=PUSH_LEASE.total_seconds())
    await release_held(process)
    assert (await decisions(sessions, task))[bad.id] == "pending"


@pytest.mark.parametrize(
    ("kinds", "urgency"), [(["completed", "cancelled"], "low"), (["completed", "failed"], "normal")]
)
async def test_digest_is_quiet_only_if_all_its_notices_are(
    process: ProcessContext,
    session: AsyncSession,
    owner: User,
    task: Task,
    run: Run,
    clock: MovableClock,
    kinds: list[str],
    urgency: str,
) -> None:
    assert clock.now
    for notice, kind in zip(await hold(session, run, task, owner, count=2), kinds, strict=True):
        notice.kind = kind
    await session.flush()

    await release_held(process)

    made = select(Notification.urgency).where(Notification.kind == "digest")
    assert (await session.scalars(made)).all() == [urgency]


@pytest.mark.parametrize("fault", ["unreadable", "not stored"])
async def test_held_notice_that_cannot_be_decided_is_given_up(
    process: ProcessContext,
    engine: AsyncEngine,
    session: AsyncSession,
    sessions: SessionFactory,
    owner: User,
    task: Task,
    run: Run,
    clock: MovableClock,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    """Regression: it was tried, and logged with a stack, every minute for 30 days."""
    [held] = await hold(session, run, task, owner)
    held.attempts = PUSH_CLAIMS - 1
    await session.flush()
    condition = f"NEW.id = '{held.id}' AND NEW.decision = 'pending'"
    async with AsyncExitStack() as faults:
        if fault == "unreadable":
            session.add(NotificationPreferences(user_id=owner.id, quiet_hours={"from": "22:00"}))
            await session.flush()
        else:
            await faults.enter_async_context(refusing_some(engine, "notifications", condition))
        await release_held(process)
        clock.advance(seconds=PUSH_LEASE.total_seconds())
        assert await decisions(sessions, task) == {held.id: HELD}

        await release_held(process)

    [row] = await notifications_of(sessions, task)
    assert (row.decision, row.reason, row.due_at) == ("given_up", "results_lost", None)
    assert row.settled_at == clock.now
    assert caplog.text.count("push.not_decided") == 1


async def test_notice_that_is_held_again_is_not_given_up(
    process: ProcessContext,
    session: AsyncSession,
    sessions: SessionFactory,
    owner: User,
    task: Task,
    run: Run,
    clock: MovableClock,
) -> None:
    hours = {"start": "22:00", "end": "08:00", "timezone": "UTC", "days": ["mon"]}
    session.add(NotificationPreferences(user_id=owner.id, quiet_hours=hours))
    [held] = await hold(session, run, task, owner)
    clock.now = datetime(2026, 11, 30, 23, tzinfo=UTC)

    await release_held(process)

    [row] = await notifications_of(sessions, task)
    assert (row.id, row.decision, row.attempts) == (held.id, HELD, 0)
    assert row.due_at == datetime(2026, 12, 1, 8, tzinfo=UTC)


async def test_held_notice_that_cannot_be_read_stops_no_digest(
    process: ProcessContext,
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    task: Task,
    run: Run,
    clock: MovableClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert clock.now
    people = [await make_user(session, projects=[project]) for _ in range(2)]
    bad, good = [await hold(session, run, task, user, count=2) for user in people]
    session.add(NotificationPreferences(user_id=people[0].id, quiet_hours={"from": "22:00"}))
    await session.flush()

    await release_held(process)

    ends = await decisions(sessions, task)
    assert [ends[row.id] for row in (*bad, *good)] == [HELD, HELD, "digested", "digested"]
    assert caplog.text.count("push.not_decided") == 2


async def test_held_notice_that_is_locked_delays_no_other_and_no_push(
    process: ProcessContext,
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    task: Task,
    run: Run,
    device: PushToken,
    push_service: PushService,
    clock: MovableClock,
) -> None:
    """Regression: a transaction left open on one held notice stopped all pushes."""
    assert clock.now
    locked, free = [
        await hold(session, run, task, await make_user(session, projects=[project])) for _ in range(2)
    ]
    await make_pending(session, task=task, device=device)
    async with unit_of_work(sessions) as holder:
        await holder.execute(select(Notification.id).where(Notification.id == locked[0].id).with_for_update())
        async with working(process):
            await eventually(lambda: len(push_service.received) == 2)
    ends = await decisions(sessions, task)
    assert (ends[locked[0].id], ends[free[0].id]) == (HELD, "sent")


async def test_quiet_hours_of_many_people_end_at_once(
    process: ProcessContext,
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    task: Task,
    run: Run,
    clock: MovableClock,
) -> None:
    """Regression: fifty people a second, and the same fifty for each worker."""
    assert clock.now
    for _ in range(55):
        await hold(session, run, task, await make_user(session, projects=[project]))
    count = select(func.count()).select_from(Notification).where(Notification.decision == HELD)
    async with rolled_back(sessions) as other_worker:
        assert await digests.release_held(other_worker) == 50
        await release_held(process)
        assert await session.scalar(count) == 50
    for _ in range(55):
        await hold(session, run, task, await make_user(session, projects=[project]))

    await release_held(process)

    assert await session.scalar(count) == 0
