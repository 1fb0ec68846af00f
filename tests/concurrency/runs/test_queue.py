"""Choice and number of the runs that are claimed: decided by the database, between real connections."""

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


def claiming(owner: str, limit: int = 0) -> Callable[[AsyncSession], Awaitable[UUID | None]]:
    """Return the step that claims a run and returns its id."""

    async def step(session: AsyncSession) -> UUID | None:
        row = await take(session, owner=owner, limit=limit)
        return None if row is None else row.run_id

    return step


async def claim(sessions: SessionFactory, owner: str = "1", *, limit: int = 0) -> UUID | None:
    return await perform(sessions, claiming(owner, limit))


async def claim_all(sessions: SessionFactory, *, limit: int = 0) -> list[UUID]:
    """Claim runs, each for a job of its own, until there is none to claim."""
    claimed: list[UUID] = []
    while (run_id := await claim(sessions, str(len(claimed)), limit=limit)) is not None:
        claimed.append(run_id)
    return claimed


async def in_progress(sessions: SessionFactory) -> list[UUID]:
    async with unit_of_work(sessions) as session:
        return list(await session.scalars(select(Run.id).where(Run.status == RunStatus.IN_PROGRESS)))


async def end(sessions: SessionFactory, run_id: UUID, *, owner: str) -> None:
    completed = run_lifecycle.RunEnd(status=RunStatus.COMPLETED)
    assert await perform(sessions, partial(finish, run_id=run_id, end=completed, owner=owner))


async def test_run_that_has_waited_longest_is_claimed_first(sessions: SessionFactory, line: MakeLine) -> None:
    runs = await line(3)
    assert await claim_all(sessions) == [run.id for run in runs]


async def test_runs_of_one_instant_have_an_order_too(
    sessions: SessionFactory, session: AsyncSession, task: Task, clock: MovableClock
) -> None:
    runs = [await make_run(session, task=task, dispatch_requested_at=clock.now) for _ in range(3)]
    assert await claim_all(sessions) == sorted(run.id for run in runs)


async def test_concurrent_claims_take_different_runs(sessions: SessionFactory, line: MakeLine) -> None:
    """The second waits for the first, and takes the next run: no job goes away empty-handed."""
    runs = await line(2)
    claimed = await race(sessions, claiming("1"), claiming("2"))
    assert claimed == (runs[0].id, runs[1].id)


async def test_claim_that_meets_a_cancel_takes_the_next_run(sessions: SessionFactory, line: MakeLine) -> None:
    runs = await line(2)
    cancel = partial(set_status, run_id=runs[0].id, status=RunStatus.CANCELLED)
    _, taken = await race(sessions, cancel, claiming("1"))
    assert taken == runs[1].id


class TestProjects:
    @pytest.fixture
    async def others(
        self, session: AsyncSession, owner: User, line: MakeLine, clock: MovableClock
    ) -> tuple[list[Run], list[Run]]:
        """Six runs of the project, which wait longest, and two of another."""
        first = await line(6)
        elsewhere = await make_project(session)
        second = []
        for _ in range(2):
            clock.advance(seconds=1)
            task = await make_task(session, project=elsewhere, created_by=owner)
            second.append(await make_run(session, task=task, dispatch_requested_at=clock.now))
        return first, second

    async def test_project_with_fewer_runs_in_hand_comes_first(
        self, sessions: SessionFactory, others: tuple[list[Run], list[Run]], clock: MovableClock
    ) -> None:
        """A long queue of one project keeps the single run of another from nothing."""
        first, second = others
        assert await claim(sessions, "0") == first[0].id
        clock.advance(seconds=1)
        assert await claim(sessions, "1") == second[0].id
        clock.advance(seconds=1)
        # One each: the project whose claim is longest ago.
        assert await claim(sessions, "2") == first[1].id
        # A project with long runs does not take every slot that becomes free.
        clock.advance(seconds=1)
        assert await claim(sessions, "3") == second[1].id
        await end(sessions, first[0].id, owner="0")
        assert await claim_all(sessions) == [run.id for run in first[2:]]

    async def test_claims_go_round_by_project_with_a_single_slot(
        self, sessions: SessionFactory, others: tuple[list[Run], list[Run]], clock: MovableClock
    ) -> None:
        first, second = others
        taken = []
        for number in range(5):
            clock.advance(seconds=1)
            run_id = await claim(sessions, str(number))
            assert run_id is not None
            taken.append(run_id)
            await end(sessions, run_id, owner=str(number))
        assert taken == [first[0].id, second[0].id, first[1].id, second[1].id, first[2].id]

    async def test_project_at_its_limit_keeps_no_other_waiting(
        self, sessions: SessionFactory, others: tuple[list[Run], list[Run]]
    ) -> None:
        first, second = others
        assert sorted(await claim_all(sessions, limit=1)) == sorted([first[0].id, second[0].id])
        assert await claim(sessions, "next", limit=1) is None

    @pytest.mark.parametrize("limit", [0, 5])
    async def test_claim_that_comes_too_late_for_one_project_takes_a_run_of_another(
        self, sessions: SessionFactory, others: tuple[list[Run], list[Run]], clock: MovableClock, limit: int
    ) -> None:
        """Both claims choose the project with the single waiting run, and the first one gets it."""
        first, second = others
        for number, run in enumerate((first[0], second[0])):
            clock.advance(seconds=1)
            assert await claim(sessions, str(number)) == run.id
        await end(sessions, second[0].id, owner="1")
        claimed = await race(sessions, claiming("2", limit), claiming("3", limit))
        assert claimed == (second[1].id, first[1].id)


class TestLimit:
    async def test_runs_beyond_it_wait_until_one_ends(self, sessions: SessionFactory, line: MakeLine) -> None:
        runs = await line(3)
        assert await claim_all(sessions, limit=2) == [runs[0].id, runs[1].id]
        await end(sessions, runs[0].id, owner="0")
        assert await claim(sessions, "3", limit=2) == runs[2].id

    async def test_second_claim_counts_the_first(self, sessions: SessionFactory, line: MakeLine) -> None:
        """The second claim began before the first was committed."""
        runs = await line(2)
        claimed = await race(sessions, claiming("1", 1), claiming("2", 1))
        assert claimed == (runs[0].id, None)
        assert await in_progress(sessions) == [runs[0].id]

    async def test_many_claims_at_once_keep_to_it(self, sessions: SessionFactory, line: MakeLine) -> None:
        runs = await line(8)
        async with asyncio.TaskGroup() as group:
            claims = [group.create_task(claim(sessions, str(run.id), limit=3)) for run in runs]
        assert sorted(filter(None, (each.result() for each in claims))) == sorted(run.id for run in runs[:3])
        assert len(await in_progress(sessions)) == 3

    async def test_runs_that_clients_perform_do_not_count(
        self, sessions: SessionFactory, line: MakeLine
    ) -> None:
        local, waiting = await line(2)
        await perform(sessions, partial(set_status, run_id=local.id, status=RunStatus.IN_PROGRESS))
        assert await claim(sessions, limit=1) == waiting.id


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
        await claim(sessions)
        assert await self.positions(sessions, runs) == [None, 1, 2]

    async def test_run_that_comes_back_is_first_again(self, sessions: SessionFactory, line: MakeLine) -> None:
        runs = await line(3)
        await claim(sessions)
        assert await perform(sessions, partial(hand_back, run_id=runs[0].id, owner="1"))
        assert await self.positions(sessions, runs) == [1, 2, 3]

    async def test_is_counted_up_to_a_bound(self, sessions: SessionFactory, line: MakeLine) -> None:
        assert await self.positions(sessions, await line(4), last=2) == [1, 2, 2, 2]
