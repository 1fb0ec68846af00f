"""Faults that concern one push: the others are sent, once."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from typing_extensions import override

from app.clients.push import NOT_REACHED, Accepted, Deadline, PushMessage, PushOutcome, PushSender
from app.db import SessionFactory
from app.enums import NotificationDecision, Platform
from app.models import Notification, NotificationPreferences, Project, PushToken, Run, Task, User
from app.runtime import ProcessContext
from app.services.notifications.claims import MOST_CLAIMS
from app.services.notifications.delivery import PUSHES_PER_CLAIM
from app.services.notifications.rules.deciding import PUSH_LEASE
from app.worker.loops.pushes import PUSH_LANES, deliver_due
from tests.support.clock import MovableClock
from tests.support.database.faults import altered, refusing_some
from tests.support.devices import make_device, make_many_pending, make_pending, notifications_of
from tests.support.factories import make_user
from tests.support.metrics import growth
from tests.support.questions import make_question
from tests.support.stand_ins.push import PushService
from tests.support.waiting import eventually

DEFERRED = NotificationDecision.DEFERRED


async def deliver(process: ProcessContext) -> int:
    return await deliver_due(process)


async def make_pushes(
    session: AsyncSession, project: Project, task: Task, count: int, **values: Any
) -> list[Notification]:
    """Make pushes that are due, each to another person."""
    pushes = []
    for _ in range(count):
        device = await make_device(session, user=await make_user(session, projects=[project]))
        pushes.append(await make_pending(session, task=task, device=device, **values))
    return pushes


async def ends_of(sessions: SessionFactory, task: Task) -> dict[Any, tuple[str, str | None]]:
    return {row.id: (row.decision, row.reason) for row in await notifications_of(sessions, task)}


async def token_of(session: AsyncSession, push: Notification) -> str:
    return (await session.scalars(select(PushToken.token).where(PushToken.id == push.device_id))).one()


@pytest.mark.parametrize("is_readable", [True, False])
async def test_push_that_cannot_be_decided_stops_no_other(
    process: ProcessContext,
    engine: AsyncEngine,
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    task: Task,
    run: Run,
    push_service: PushService,
    clock: MovableClock,
    caplog: pytest.LogCaptureFixture,
    is_readable: bool,
) -> None:
    """Regression: its claim was rolled back, and made again a second later: no push was sent any more."""
    bad, *good = await make_pushes(session, project, task, 5, run_id=run.id, decision=DEFERRED)
    async with AsyncExitStack() as faults:
        if is_readable:
            condition = f"NEW.id = '{bad.id}' AND NEW.decision = 'pending'"
            await faults.enter_async_context(refusing_some(engine, "notifications", condition))
        else:
            session.add(NotificationPreferences(user_id=bad.user_id, quiet_hours={"from": "22:00"}))
            await session.flush()

        assert await deliver(process) == len(good)

    rows = {row.id: row for row in await notifications_of(sessions, task)}
    assert [rows[each.id].decision for each in good] == ["sent"] * len(good)
    assert (rows[bad.id].decision, rows[bad.id].due_at) == (DEFERRED, clock.now + PUSH_LEASE)
    assert caplog.text.count("push.not_decided") == 1
    assert len(push_service.received) == len(good)


async def test_push_that_cannot_be_composed_stops_no_other(
    process: ProcessContext,
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    task: Task,
    push_service: PushService,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Regression: all pushes of its claim waited for the end of their lease, and came due again with it, for ever."""
    question = await make_question(session, task=task, options=[{"id": "allow"}])
    about = {"question_id": question.id, "run_id": question.run_id, "kind": "awaiting", "urgency": "normal"}
    [bad] = await make_pushes(session, project, task, 1, **about)
    good = await make_pushes(session, project, task, 3)

    await deliver(process)

    ends = await ends_of(sessions, task)
    assert ends == {bad.id: ("retrying", "NotComposed")} | {each.id: ("sent", None) for each in good}
    assert len(push_service.received) == len(good)
    assert caplog.text.count("push.not_composed") == 1


async def test_result_that_cannot_be_stored_sends_no_other_push_again(
    process: ProcessContext,
    engine: AsyncEngine,
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    task: Task,
    push_service: PushService,
    clock: MovableClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Regression: all accepted pushes of its claim were sent again every minute."""
    bad, *good = await make_pushes(session, project, task, 5)
    counted = growth("taskbeacon_push_outcomes_total", outcome="Accepted", reason="")
    async with refusing_some(engine, "notifications", f"NEW.id = '{bad.id}' AND NEW.decision = 'sent'"):
        await deliver(process)
    ends = await ends_of(sessions, task)
    assert ends == {bad.id: ("pending", None)} | {each.id: ("sent", None) for each in good}
    assert caplog.text.count("push.not_settled") == 1
    assert counted() == len(good)

    clock.advance(seconds=PUSH_LEASE.total_seconds())
    await deliver(process)

    repeated = [token for token, count in Counter(push_service.tokens).items() if count > 1]
    assert repeated == [await token_of(session, bad)]


async def test_push_is_given_up_if_its_results_are_lost_time_and_again(
    process: ProcessContext,
    engine: AsyncEngine,
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    task: Task,
    push_service: PushService,
    clock: MovableClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Regression: it was sent again every minute for good. The end of one that cannot be stored stops no other."""
    [last] = await make_pushes(session, project, task, 1, attempts=MOST_CLAIMS - 1)
    lost, stuck = await make_pushes(session, project, task, 2, attempts=MOST_CLAIMS)
    [unread] = await make_pushes(session, project, task, 1, attempts=MOST_CLAIMS, decision=DEFERRED)
    condition = f"NEW.id = '{stuck.id}' AND NEW.decision = 'given_up'"

    async with refusing_some(engine, "notifications", condition):
        await deliver(process)

    assert push_service.tokens == [await token_of(session, last)]
    given_up = ("given_up", "results_lost")
    assert await ends_of(sessions, task) == {
        last.id: ("sent", None),
        lost.id: given_up,
        unread.id: given_up,
        stuck.id: ("pending", None),
    }
    rows = {row.id: row.due_at for row in await notifications_of(sessions, task)}
    assert rows.pop(stuck.id) == clock.now + PUSH_LEASE
    assert set(rows.values()) == {None}
    assert caplog.text.count("push.results_lost") == 3


class SlowSender(PushSender):
    """A sender with a rate that lets it begin late: what may not begin any more by then is not sent."""

    def __init__(self) -> None:
        self.may_begin = asyncio.Event()

    @override
    async def send(self, messages: Sequence[PushMessage], deadline: Deadline) -> list[PushOutcome]:
        _ = await self.may_begin.wait()
        return [NOT_REACHED if deadline.is_past else Accepted()] * len(messages)


async def test_claim_that_fails_holds_up_no_push_of_another_claim(
    process: ProcessContext,
    engine: AsyncEngine,
    session: AsyncSession,
    sessions: SessionFactory,
    owner: User,
    project: Project,
    task: Task,
    clock: MovableClock,
) -> None:
    """Regression: it cancelled the other lanes, and what they had claimed was not sent."""
    sender = SlowSender()
    await make_many_pending(session, task=task, user=owner, count=PUSHES_PER_CLAIM)
    await session.execute(update(Notification).values(due_at=clock.now - timedelta(seconds=1)))
    [bad] = await make_pushes(session, project, task, 1)

    async def has_failed() -> bool:
        return bool(await session.scalar(text("SELECT is_called FROM claims")))

    counting = altered(engine, "CREATE SEQUENCE claims", undo="DROP SEQUENCE claims")
    condition = f"NEW.id = '{bad.id}' AND nextval('claims') > 0"
    async with counting, refusing_some(engine, "notifications", condition):
        sending = asyncio.create_task(deliver(replace(process, push=dict.fromkeys(Platform, sender))))
        await eventually(has_failed)
        sender.may_begin.set()
        with pytest.raises(asyncpg.RaiseError):
            await sending

    ends = await ends_of(sessions, task)
    assert ends.pop(bad.id) == ("pending", None)
    assert Counter(ends.values()) == {("sent", None): PUSHES_PER_CLAIM}


async def test_lanes_that_fail_are_all_reported_and_hold_up_no_other(
    process: ProcessContext,
    engine: AsyncEngine,
    session: AsyncSession,
    sessions: SessionFactory,
    owner: User,
    project: Project,
    task: Task,
    clock: MovableClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One error is raised for the job; each further one is logged as `push.lane_failed`."""
    sender = SlowSender()
    others = PUSH_LANES - 1
    bad = await make_user(session, projects=[project])
    # A full claim for each other lane, so that none finds all rows locked.
    for user, count, due_at in (
        (owner, PUSHES_PER_CLAIM, clock.now - timedelta(seconds=1)),
        (bad, others * PUSHES_PER_CLAIM, clock.now),
    ):
        await make_many_pending(session, task=task, user=user, count=count)
        await session.execute(
            update(Notification).where(Notification.user_id == user.id).values(due_at=due_at)
        )

    async def have_failed() -> bool:
        return bool(await session.scalar(text("SELECT last_value FROM claims")) == others)

    counting = altered(engine, "CREATE SEQUENCE claims", undo="DROP SEQUENCE claims")
    condition = f"NEW.user_id = {bad.id} AND nextval('claims') > 0"
    async with counting, refusing_some(engine, "notifications", condition):
        sending = asyncio.create_task(deliver(replace(process, push=dict.fromkeys(Platform, sender))))
        await eventually(have_failed)
        sender.may_begin.set()
        with pytest.raises(asyncpg.RaiseError):
            await sending

    failures = [record for record in caplog.records if "push.lane_failed" in record.getMessage()]
    # The first lane fails too, at its next claim.
    assert [record.levelname for record in failures] == ["ERROR"] * (PUSH_LANES - 1)
    assert Counter((await ends_of(sessions, task)).values()) == {
        ("sent", None): PUSHES_PER_CLAIM,
        ("pending", None): others * PUSHES_PER_CLAIM,
    }
