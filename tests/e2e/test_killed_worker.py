"""Pushes by real worker processes: two of them are killed outright, one is stopped."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from app.clients.expo.expo_client import MAX_PARALLEL_SENDS
from app.clients.pushes.push import MESSAGES_PER_REQUEST
from app.clock import utcnow
from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.models import Notification
from app.services.notifications.push_delivery import PUSHES_PER_CLAIM
from app.worker.loops.pushes import PUSH_LANES
from tests.support.deployment.processes import service_process
from tests.support.devices import make_many_pending
from tests.support.factories import make_project, make_task, make_user
from tests.support.stand_ins.push import PushService, expo_application
from tests.support.waiting import eventually
from tests.support.web.serving import serving

COUNT = 10_000
# What a worker has claimed at once, and so may have sent without having written it down.
IN_FLIGHT = PUSH_LANES * PUSHES_PER_CLAIM

pytestmark = pytest.mark.chaos


@pytest.fixture
async def expo_url(push_service: PushService) -> AsyncGenerator[str, None]:
    push_service.delay_seconds = 0.02
    async with serving(expo_application(push_service)) as base_url:
        yield base_url


@pytest.fixture
def environment(expo_url: str, tmp_path: Path) -> dict[str, str]:
    """The environment of workers that push to this service, as fast as they can."""
    return {
        "TASKBEACON_EXPO_BASE_URL": expo_url,
        "TASKBEACON_EXPO_MESSAGES_PER_SECOND": "0",
        "TASKBEACON_HOME": str(tmp_path / "home"),
    }


async def make_pending(sessions: SessionFactory, count: int) -> None:
    """Have so many pushes be due, each to a device of its own."""
    async with unit_of_work(sessions) as session:
        project = await make_project(session)
        user = await make_user(session, projects=[project])
        task = await make_task(session, project=project, created_by=user)
        await make_many_pending(session, task=task, user=user, count=count)


async def test_two_killed_workers_lose_nothing_and_repeat_only_what_was_in_flight(
    settings: Settings,
    sessions: SessionFactory,
    push_service: PushService,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    await make_pending(sessions, COUNT)

    def received(count: int) -> Callable[[], bool]:
        return lambda: len(set(push_service.tokens)) >= count

    for number, sent_before in enumerate((2_000, 6_000, COUNT)):
        log = tmp_path / f"worker{number}.log"
        with service_process("worker", settings=settings, log=log, **environment) as worker:
            await eventually(received(sent_before))
            if sent_before == COUNT:
                await eventually(lambda: _settled(sessions))
            else:
                worker.kill()
        # Work of the killed worker would come up again after its lease; the test does not wait for that.
        async with unit_of_work(sessions) as session:
            await session.execute(
                update(Notification)
                .where(Notification.due_at.is_not(None))
                .values(due_at=Notification.created_at)
            )

    counts = Counter(push_service.tokens)
    assert len(counts) == COUNT
    assert max(counts.values()) <= 3
    assert sum(counts.values()) - COUNT <= 2 * IN_FLIGHT


async def test_stopped_worker_waits_for_what_is_on_the_wire_and_gives_back_the_rest(
    settings: Settings,
    sessions: SessionFactory,
    push_service: PushService,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    await make_pending(sessions, IN_FLIGHT)
    push_service.may_answer.clear()
    log = tmp_path / "worker.log"

    with service_process("worker", settings=settings, log=log, **environment) as worker:
        await eventually(lambda: push_service.open_sends == MAX_PARALLEL_SENDS)
        worker.ask_to_stop()
        await eventually(lambda: '"worker":"chores"' in log.read_text(encoding="utf-8"))
        push_service.may_answer.set()

        await eventually(lambda: not worker.is_running)

    assert push_service.batches == [MESSAGES_PER_REQUEST] * MAX_PARALLEL_SENDS
    async with unit_of_work(sessions) as session:
        due = select(func.count()).select_from(Notification).where(Notification.due_at <= utcnow())
        assert await session.scalar(due) == IN_FLIGHT - MAX_PARALLEL_SENDS * MESSAGES_PER_REQUEST


async def _settled(sessions: SessionFactory) -> bool:
    async with unit_of_work(sessions) as session:
        left = select(func.count()).select_from(Notification).where(Notification.due_at.is_not(None))
        return await session.scalar(left) == 0
