"""Faults that concern one push: the others are sent, once."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from typing_extensions import override

from app.clients.pushes.push import NOT_REACHED, Accepted, Deadline, PushMessage, PushOutcome, PushSender
from app.enums import NotificationDecision, Platform
from app.models import Notification, NotificationPreferences, Project, PushToken, Run, Task, User
from app.runtime import ProcessContext
from app.services.notifications.push_delivery import PUSHES_PER_CLAIM
from app.services.retrying.policies import PUSH_CLAIMS, PUSH_LEASE
from app.worker.loops.pushes import PUSH_LANES, deliver_due
from tests.support.clock import MovableClock
from tests.support.database.faults import altered, refusing_some
from tests.support.devices import make_device, make_many_pending, make_pending, notifications_of
from tests.support.factories import make_user
from tests.support.metrics import growth
from tests.support.questions import make_question
from tests.support.stand_ins.push import PushService, with_push
from tests.support.waiting import eventually

DEFERRED = NotificationDecision.DEFERRED


@dataclass(frozen=True)
class Desk:
    """Pushes about one task, and the worker that delivers them."""

    process: ProcessContext
    engine: AsyncEngine
    session: AsyncSession
    project: Project
    task: Task
    clock: MovableClock

    async def make(self, count: int, **values: Any) -> list[Notification]:
        """Make pushes that are due, each to another person."""
        pushes = []
        for _ in range(count):
            device = await make_device(self.session, user=await self.person())
            pushes.append(await make_pending(self.session, task=self.task, device=device, **values))
        return pushes

    async def person(self) -> User:
        return await make_user(self.session, projects=[self.project])

    async def make_claims(self, count: int, *, user: User, age: timedelta = timedelta()) -> None:
        """Make as many pushes to a person as these claims take, due for some time."""
        await make_many_pending(self.session, task=self.task, user=user, count=count * PUSHES_PER_CLAIM)
        due = update(Notification).where(Notification.user_id == user.id)
        await self.session.execute(due.values(due_at=self.clock.now - age))

    def refusing(self, condition: str) -> AbstractAsyncContextManager[None]:
        """Refuse to write notifications that meet a condition."""
        return refusing_some(self.engine, "notifications", condition)

    async def deliver(self) -> int:
        return await deliver_due(self.process)

    async def deliver_beside_refused_claims(self, condition: str, *, count: int = 1) -> None:
        """Have claims of pushes that meet a condition fail while another claim is being sent."""
        sender = SlowSender()
        process = with_push(self.process, senders=dict.fromkeys(Platform, sender))

        async def have_failed() -> bool:
            failed = await self.session.scalar(text("SELECT last_value FROM claims WHERE is_called"))
            return (failed or 0) >= count

        counting = altered(self.engine, "CREATE SEQUENCE claims", undo="DROP SEQUENCE claims")
        async with counting, self.refusing(f"{condition} AND nextval('claims') > 0"):
            sending = asyncio.create_task(deliver_due(process))
            await eventually(have_failed)
            sender.may_begin.set()
            with pytest.raises(asyncpg.RaiseError):
                await sending

    async def rows(self) -> dict[Any, Notification]:
        return {row.id: row for row in await notifications_of(self.process.sessions, self.task)}

    async def ends(self) -> dict[Any, tuple[str, str | None]]:
        return {key: (row.decision, row.reason) for key, row in (await self.rows()).items()}

    async def token_of(self, push: Notification) -> str:
        query = select(PushToken.token).where(PushToken.id == push.device_id)
        return (await self.session.scalars(query)).one()


class SlowSender(PushSender):
    """A sender with a rate that lets it begin late: what may not begin any more by then is not sent."""

    def __init__(self) -> None:
        self.may_begin = asyncio.Event()

    @override
    async def send(self, messages: Sequence[PushMessage], deadline: Deadline) -> list[PushOutcome]:
        _ = await self.may_begin.wait()
        return [NOT_REACHED if deadline.is_past else Accepted()] * len(messages)


@pytest.fixture
def desk(
    process: ProcessContext,
    engine: AsyncEngine,
    session: AsyncSession,
    project: Project,
    task: Task,
    clock: MovableClock,
) -> Desk:
    return Desk(process, engine, session, project, task, clock)


@pytest.mark.parametrize("is_readable", [True, False])
async def test_push_that_cannot_be_decided_stops_no_other(
    desk: Desk, run: Run, push_service: PushService, caplog: pytest.LogCaptureFixture, is_readable: bool
) -> None:
    """Regression: its claim was rolled back, and made again a second later: no push was sent any more."""
    bad, *good = await desk.make(5, run_id=run.id, decision=DEFERRED)
    async with AsyncExitStack() as faults:
        if is_readable:
            condition = f"NEW.id = '{bad.id}' AND NEW.decision = 'pending'"
            await faults.enter_async_context(desk.refusing(condition))
        else:
            desk.session.add(NotificationPreferences(user_id=bad.user_id, quiet_hours={"from": "22:00"}))
            await desk.session.flush()

        assert await desk.deliver() == len(good)

    rows = await desk.rows()
    assert [rows[each.id].decision for each in good] == ["sent"] * len(good)
    assert (rows[bad.id].decision, rows[bad.id].due_at) == (DEFERRED, desk.clock.now + PUSH_LEASE)
    assert caplog.text.count("push.not_decided") == 1
    assert len(push_service.received) == len(good)


async def test_push_that_cannot_be_composed_stops_no_other(
    desk: Desk, push_service: PushService, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: all pushes of its claim waited for the end of their lease, and came due again with it, for ever."""
    question = await make_question(desk.session, task=desk.task, options=[{"id": "allow"}])
    about = {"question_id": question.id, "run_id": question.run_id, "kind": "awaiting", "urgency": "normal"}
    [bad] = await desk.make(1, **about)
    good = await desk.make(3)

    await desk.deliver()

    expected = {bad.id: ("retrying", "NotComposed")} | {each.id: ("sent", None) for each in good}
    assert await desk.ends() == expected
    assert len(push_service.received) == len(good)
    assert caplog.text.count("push.not_composed") == 1


async def test_result_that_cannot_be_stored_sends_no_other_push_again(
    desk: Desk, push_service: PushService, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: all accepted pushes of its claim were sent again every minute."""
    bad, *good = await desk.make(5)
    counted = growth("taskbeacon_push_outcomes_total", outcome="Accepted", reason="")
    async with desk.refusing(f"NEW.id = '{bad.id}' AND NEW.decision = 'sent'"):
        await desk.deliver()
    assert await desk.ends() == {bad.id: ("pending", None)} | {each.id: ("sent", None) for each in good}
    assert caplog.text.count("push.not_settled") == 1
    assert counted() == len(good)

    desk.clock.advance(seconds=PUSH_LEASE.total_seconds())
    await desk.deliver()

    repeated = [token for token, count in Counter(push_service.tokens).items() if count > 1]
    assert repeated == [await desk.token_of(bad)]


async def test_push_is_given_up_if_its_results_are_lost_time_and_again(
    desk: Desk, push_service: PushService, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: it was sent again every minute for good. The end of one that cannot be stored stops no other."""
    [last] = await desk.make(1, attempts=PUSH_CLAIMS - 1)
    lost, stuck = await desk.make(2, attempts=PUSH_CLAIMS)
    [unread] = await desk.make(1, attempts=PUSH_CLAIMS, decision=DEFERRED)

    async with desk.refusing(f"NEW.id = '{stuck.id}' AND NEW.decision = 'given_up'"):
        await desk.deliver()

    assert push_service.tokens == [await desk.token_of(last)]
    given_up = ("given_up", "results_lost")
    assert await desk.ends() == {
        last.id: ("sent", None),
        lost.id: given_up,
        unread.id: given_up,
        stuck.id: ("pending", None),
    }
    due = {key: row.due_at for key, row in (await desk.rows()).items()}
    assert due.pop(stuck.id) == desk.clock.now + PUSH_LEASE
    assert set(due.values()) == {None}
    assert caplog.text.count("push.results_lost") == 3


async def test_claim_that_fails_holds_up_no_push_of_another_claim(desk: Desk, owner: User) -> None:
    """Regression: it cancelled the other lanes, and what they had claimed was not sent."""
    await desk.make_claims(1, user=owner, age=timedelta(seconds=1))
    [bad] = await desk.make(1)

    await desk.deliver_beside_refused_claims(f"NEW.id = '{bad.id}'")

    ends = await desk.ends()
    assert ends.pop(bad.id) == ("pending", None)
    assert Counter(ends.values()) == {("sent", None): PUSHES_PER_CLAIM}


async def test_lanes_that_fail_are_all_reported_and_hold_up_no_other(
    desk: Desk, owner: User, caplog: pytest.LogCaptureFixture
) -> None:
    """One error is raised for the job; each further one is logged as `push.lane_failed`."""
    others = PUSH_LANES - 1
    bad = await desk.person()
    # A full claim for each other lane, so that none finds all rows locked.
    await desk.make_claims(1, user=owner, age=timedelta(seconds=1))
    await desk.make_claims(others, user=bad)

    await desk.deliver_beside_refused_claims(f"NEW.user_id = {bad.id}", count=others)

    failures = [record for record in caplog.records if "push.lane_failed" in record.getMessage()]
    # The first lane fails too, at its next claim.
    assert [record.levelname for record in failures] == ["ERROR"] * others
    assert Counter((await desk.ends()).values()) == {
        ("sent", None): PUSHES_PER_CLAIM,
        ("pending", None): others * PUSHES_PER_CLAIM,
    }
