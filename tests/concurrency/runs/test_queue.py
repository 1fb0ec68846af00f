"""Choice and number of the runs claimed in a project: decided by the database, between real connections."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import RunStatus
from app.models import Project, Run, Task, User
from app.services.runs import run_lifecycle
from app.services.views import queue_position
from tests.concurrency.races import perform, race
from tests.support.clock import MovableClock
from tests.support.factories import make_project, make_run, make_task
from tests.support.stand_ins.fakes import RecordingEvents

EVENTS = RecordingEvents()
take = partial(run_lifecycle.claim, events=EVENTS)
set_status = partial(run_lifecycle.set_status, events=EVENTS)
finish = partial(run_lifecycle.finish, events=EVENTS)
hand_back = partial(run_lifecycle.hand_back, events=EVENTS)

MakeLine = Callable[[int], Awaitable[list[Run]]]


@pytest.fixture
def line(session: AsyncSession, project: Project, owner: User, clock: MovableClock) -> MakeLine:
    """Make runs of one project that wait, the longest waiting first."""

    async def make(count: int) -> list[Run]:
        runs = []
        for _ in range(count):
            clock.advance(seconds=1)
            task = await make_task(session, project=project, created_by=owner)
            runs.append(await make_run(session, task=task, dispatch_requested_at=clock.now))
        return runs

    return make


def claiming(run: Run, owner: str, limit: int = 0) -> Callable[[AsyncSession], Awaitable[UUID | None]]:
    """Return the step that claims a run for the job of this one, and returns its id."""

    async def step(session: AsyncSession) -> UUID | None:
        row = await take(session, run.id, owner=owner, limit=limit)
        return None if row is None else row.run_id

    return step


async def claim(sessions: SessionFactory, run: Run, *, owner: str, limit: int = 0) -> UUID | None:
    return await perform(sessions, claiming(run, owner, limit))


async def in_progress(sessions: SessionFactory) -> list[UUID]:
    async with unit_of_work(sessions) as session:
        return list(await session.scalars(select(Run.id).where(Run.status == RunStatus.IN_PROGRESS)))


async def test_job_takes_the_run_that_has_waited_longest(sessions: SessionFactory, line: MakeLine) -> None:
    runs = await line(3)
    jobs = [runs[2], runs[0], runs[1], runs[1]]
    taken = [await claim(sessions, run, owner=str(number)) for number, run in enumerate(jobs)]
    assert taken == [runs[0].id, runs[1].id, runs[2].id, None]


async def test_runs_of_one_instant_have_an_order_too(
    sessions: SessionFactory, session: AsyncSession, task: Task, clock: MovableClock
) -> None:
    runs = [await make_run(session, task=task, dispatch_requested_at=clock.now) for _ in range(3)]
    taken = [await claim(sessions, runs[0], owner=str(number)) for number in range(3)]
    assert taken == sorted(run.id for run in runs)


async def test_other_projects_are_lines_of_their_own(
    sessions: SessionFactory, session: AsyncSession, line: MakeLine, owner: User, clock: MovableClock
) -> None:
    mine = await line(2)
    clock.advance(seconds=1)
    task = await make_task(session, project=await make_project(session), created_by=owner)
    other = await make_run(session, task=task, dispatch_requested_at=clock.now)
    assert await claim(sessions, mine[0], owner="1", limit=1) == mine[0].id
    assert await claim(sessions, other, owner="2", limit=1) == other.id


async def test_concurrent_claims_take_different_runs(sessions: SessionFactory, line: MakeLine) -> None:
    """The second waits for the row that the first has, and takes the next one: no job goes away empty-handed."""
    runs = await line(2)
    claimed = await race(sessions, claiming(runs[0], "1"), claiming(runs[1], "2"))
    assert claimed == (runs[0].id, runs[1].id)


async def test_claim_that_meets_a_cancel_takes_the_next_run(sessions: SessionFactory, line: MakeLine) -> None:
    runs = await line(2)
    cancel = partial(set_status, run_id=runs[0].id, status=RunStatus.CANCELLED)
    _, taken = await race(sessions, cancel, claiming(runs[0], "1"))
    assert taken == runs[1].id


class TestLimit:
    async def test_runs_beyond_it_wait_until_one_ends(self, sessions: SessionFactory, line: MakeLine) -> None:
        runs = await line(3)
        taken = [await claim(sessions, run, owner=str(number), limit=2) for number, run in enumerate(runs)]
        assert taken == [runs[0].id, runs[1].id, None]
        end = run_lifecycle.RunEnd(status=RunStatus.COMPLETED)
        assert await perform(sessions, partial(finish, run_id=runs[0].id, end=end, owner="0"))
        assert await claim(sessions, runs[0], owner="3", limit=2) == runs[2].id

    async def test_second_claim_counts_the_first(self, sessions: SessionFactory, line: MakeLine) -> None:
        """The second claim began before the first was committed."""
        runs = await line(2)
        claimed = await race(sessions, claiming(runs[0], "1", 1), claiming(runs[1], "2", 1))
        assert claimed == (runs[0].id, None)
        assert await in_progress(sessions) == [runs[0].id]

    async def test_many_claims_at_once_keep_to_it(self, sessions: SessionFactory, line: MakeLine) -> None:
        runs = await line(8)
        async with asyncio.TaskGroup() as group:
            claims = [group.create_task(claim(sessions, run, owner=str(run.id), limit=3)) for run in runs]
        assert sorted(filter(None, (each.result() for each in claims))) == sorted(run.id for run in runs[:3])
        assert len(await in_progress(sessions)) == 3

    async def test_runs_that_clients_perform_do_not_count(
        self, sessions: SessionFactory, line: MakeLine
    ) -> None:
        local, waiting = await line(2)
        await perform(sessions, partial(set_status, run_id=local.id, status=RunStatus.IN_PROGRESS))
        assert await claim(sessions, waiting, owner="1", limit=1) == waiting.id


class TestPosition:
    async def positions(
        self, sessions: SessionFactory, runs: list[Run], *, last: int = queue_position.LAST_POSITION
    ) -> list[int | None]:
        async with unit_of_work(sessions) as session:
            rows = await session.execute(select(Run.id, queue_position.position(last=last).label("place")))
            known: dict[UUID, int | None] = {row.id: row.place for row in rows}
        return [known[run.id] for run in runs]

    async def test_is_the_place_in_the_line(self, sessions: SessionFactory, line: MakeLine) -> None:
        runs = await line(3)
        assert await self.positions(sessions, runs) == [1, 2, 3]
        await claim(sessions, runs[2], owner="1")
        assert await self.positions(sessions, runs) == [None, 1, 2]

    async def test_run_that_comes_back_is_first_again(self, sessions: SessionFactory, line: MakeLine) -> None:
        runs = await line(3)
        await claim(sessions, runs[0], owner="1")
        assert await perform(sessions, partial(hand_back, run_id=runs[0].id, owner="1"))
        assert await self.positions(sessions, runs) == [1, 2, 3]

    async def test_is_counted_up_to_a_bound(self, sessions: SessionFactory, line: MakeLine) -> None:
        assert await self.positions(sessions, await line(4), last=2) == [1, 2, 2, 2]
