"""A dispatcher that is killed (SIGKILL) at each step: no push is lost, and no device shows one twice (contract 16.15).

Between the request to the push service and the commit of its result, one repeat is possible: Expo and browsers'
services take no key that makes a request idempotent. The repeat has the tag of the first message and replaces it.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.models import Project, PushToken, Run, Task, User
from app.runtime import ProcessContext
from app.services.retrying.policies import PUSH_LEASE
from app.worker.jobs.fetch_receipts import fetch_due
from tests.contract.pushes.conftest import Asks, Deliver
from tests.contract.pushes.rows import answer, end_run, history, only_row, prefer
from tests.support.clock import MovableClock
from tests.support.deployment import killed_dispatcher
from tests.support.deployment.killed_dispatcher import APPLICATION_NAME, Step
from tests.support.devices import make_presence, notifications_of
from tests.support.factories import make_task
from tests.support.questions import make_live_run
from tests.support.stand_ins.push import PushService, expo_application
from tests.support.waiting import eventually
from tests.support.web.serving import serving

BEFORE_THE_REQUEST = (Step.DECIDED, Step.CLAIMED)
# The push service has the message, and no row says so.
UNKNOWN = (Step.SENT, Step.SETTLING)
STEPS = (*BEFORE_THE_REQUEST, *UNKNOWN, Step.SETTLED)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("clock")]


class Dispatchers:
    """A dispatcher that is killed, and the one that comes after it."""

    def __init__(
        self, kill_at: Callable[[Step], Awaitable[None]], clock: MovableClock, deliver: Deliver
    ) -> None:
        self.kill_at = kill_at
        self._clock = clock
        self._deliver = deliver

    async def follow(self) -> None:
        """Deliver what the killed one left, now and when its lease has ended."""
        await self._deliver()
        self._clock.advance(seconds=PUSH_LEASE.total_seconds() + 1)
        await self._deliver()


@pytest.fixture
async def dispatchers(
    settings: Settings,
    sessions: SessionFactory,
    push_service: PushService,
    clock: MovableClock,
    deliver: Deliver,
    tmp_path: Path,
) -> AsyncGenerator[Dispatchers, None]:
    async def is_forgotten() -> bool:
        """Return whether the database knows that the process is gone: until then, its locks hold."""
        async with unit_of_work(sessions) as session:
            backends = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")
            count = await session.scalar(backends, {"name": f"taskbeacon-{APPLICATION_NAME}"})
            return bool(count == 0)

    async with serving(expo_application(push_service)) as expo_url:
        own = {"expo_base_url": expo_url, "expo_messages_per_second": 0}
        dispatching = settings.model_copy(update=own)

        async def kill_at(step: Step) -> None:
            log = tmp_path / "dispatcher.log"
            await killed_dispatcher.kill_at(step, clock.now, settings=dispatching, log=log)
            await eventually(is_forgotten)

        yield Dispatchers(kill_at, clock, deliver)


def shown(push_service: PushService) -> list[str]:
    """Return the texts that stand on the devices: a message replaces those of its tag."""
    notices: dict[tuple[str, str], dict[str, Any]] = {}
    for message in push_service.received:
        assert message["tag"] == message["collapseId"]
        notices[message["to"], message["tag"]] = message
    return [message["body"] for message in notices.values()]


def sent(expected: int, step: Step) -> int:
    """Return how many messages the push service gets of `expected`, the last of which was sent at `step`."""
    return expected + (step in UNKNOWN)


@pytest.mark.parametrize("step", STEPS)
async def test_notice_of_a_question_is_shown_once(
    sessions: SessionFactory,
    task: Task,
    push_service: PushService,
    ask: Asks,
    dispatchers: Dispatchers,
    step: Step,
) -> None:
    await ask()
    await dispatchers.kill_at(step)
    await dispatchers.follow()

    assert shown(push_service) == ['"Fix the login page" needs your input']
    assert len(push_service.received) == sent(1, step)
    row = await only_row(sessions, task)
    assert (row.decision, row.due_at, history(row)) == ("sent", None, [("sent", None)])


@pytest.mark.parametrize("step", STEPS)
async def test_notice_of_an_end_is_shown_once(
    sessions: SessionFactory,
    task: Task,
    run: Run,
    device: PushToken,
    push_service: PushService,
    dispatchers: Dispatchers,
    step: Step,
) -> None:
    """Two messages about no question had nothing in common: the device showed both."""
    assert device.id
    await end_run(sessions, run)
    await dispatchers.kill_at(step)
    await dispatchers.follow()

    assert shown(push_service) == ['"Fix the login page" failed']
    assert len(push_service.received) == sent(1, step)
    assert history(await only_row(sessions, task)) == [("sent", None)]


@pytest.mark.parametrize("step", STEPS)
async def test_deferred_notice_is_shown_once(
    session: AsyncSession,
    sessions: SessionFactory,
    task: Task,
    device: PushToken,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    dispatchers: Dispatchers,
    step: Step,
) -> None:
    await make_presence(session, task=task, device=device)
    await ask()
    clock.advance(seconds=66)
    await dispatchers.kill_at(step)
    await dispatchers.follow()

    assert shown(push_service) == ['"Fix the login page" needs your input']
    assert len(push_service.received) == sent(1, step)
    row = await only_row(sessions, task)
    assert history(row) == [("deferred", "presence"), ("sent", None)]
    assert row.deferred_for == pytest.approx(66 if step is not Step.DECIDED else row.deferred_for)


@pytest.mark.parametrize("step", STEPS)
async def test_retraction_is_shown_once(
    sessions: SessionFactory,
    task: Task,
    colleague: User,
    push_service: PushService,
    ask: Asks,
    deliver: Deliver,
    dispatchers: Dispatchers,
    step: Step,
) -> None:
    question = await ask()
    await deliver()
    await answer(sessions, question, colleague)
    await dispatchers.kill_at(step)
    await dispatchers.follow()

    [text_shown] = shown(push_service)
    assert text_shown.startswith("Answered")
    assert len(push_service.received) == sent(2, step)
    row = await only_row(sessions, task)
    assert row.decision == "retracted"
    assert history(row) == [("sent", None), ("retracted", "answered")]


@pytest.mark.parametrize("step", STEPS)
async def test_reminder_is_shown_once(
    session: AsyncSession,
    sessions: SessionFactory,
    task: Task,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
    dispatchers: Dispatchers,
    step: Step,
) -> None:
    await prefer(session, owner, reminder_after_seconds=600)
    await ask()
    await deliver()
    clock.advance(seconds=600)
    await dispatchers.kill_at(step)
    await dispatchers.follow()

    assert shown(push_service) == ['"Fix the login page" needs your input']
    assert len(push_service.received) == sent(2, step)
    assert history(await only_row(sessions, task)) == [("sent", None), ("reminder", "still_open")]


@pytest.mark.parametrize("step", [Step.DIGEST_MADE, Step.DIGEST_KEPT, *STEPS])
async def test_message_at_the_end_of_quiet_hours_is_shown_once(
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    task: Task,
    run: Run,
    owner: User,
    device: PushToken,
    push_service: PushService,
    clock: MovableClock,
    dispatchers: Dispatchers,
    step: Step,
) -> None:
    assert device.id
    hours = {"start": "09:00", "end": "11:00", "timezone": "UTC", "days": ["sun"]}
    await prefer(session, owner, quiet_hours=hours)
    other_task = await make_task(session, project=project, created_by=owner)
    other = await make_live_run(session, task=other_task)
    for ended in (run, other):
        await end_run(sessions, ended)
    clock.advance(hours=1)
    await dispatchers.kill_at(step)
    await dispatchers.follow()

    assert shown(push_service) == ["2 tasks failed"]
    assert len(push_service.received) == sent(1, step)
    for each in (task, other_task):
        [row] = await notifications_of(sessions, each)
        assert history(row) == [("held_quiet_hours", "quiet_hours"), ("digested", "quiet_hours")]


@pytest.mark.parametrize("step", [Step.RECEIPTS_CLAIMED, Step.RECEIPTS_READ, Step.RECEIPTS_SETTLING])
async def test_receipt_is_stored_once_and_sends_nothing(
    process: ProcessContext,
    sessions: SessionFactory,
    task: Task,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
    dispatchers: Dispatchers,
    step: Step,
) -> None:
    await ask()
    await deliver()
    push_service.receipts[(await only_row(sessions, task)).ticket_id or ""] = {"status": "ok"}
    clock.advance(minutes=15)
    await dispatchers.kill_at(step)
    clock.now += timedelta(minutes=15)
    await dispatchers.follow()
    await fetch_due(process)

    assert len(push_service.received) == 1
    row = await only_row(sessions, task)
    assert (row.receipt_due_at, history(row)) == (None, [("sent", None), ("delivered", None)])
