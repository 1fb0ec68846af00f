"""The life of a run: every pair of statuses, and every race that services/runs/lifecycle.py names, decided.

Each race is two real transactions: the second begins before the first commits and waits for its lock.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import TERMINAL_STATUSES, RunStatus
from app.errors import StateRefused
from app.models import Project, Run, Task, User
from app.services.runs import lifecycle as run_lifecycle
from app.services.runs.facts import AGENT_STARTED, RECOVERY
from app.services.runs.lifecycle import RunEnd
from app.services.runs.transitions import TRANSITIONS
from tests.concurrency.races import race
from tests.support.clock import MovableClock
from tests.support.factories import make_run, make_task
from tests.support.fakes import RecordingEvents

OWNER = "job-1"
OTHER = "job-2"
ACTIVE = [status for status in RunStatus if status not in TERMINAL_STATUSES]
MakeRun = Callable[..., Awaitable[Run]]

EVENTS = RecordingEvents()
claim = partial(run_lifecycle.claim, events=EVENTS)
set_status = partial(run_lifecycle.set_status, events=EVENTS)
recover_lapsed = partial(run_lifecycle.recover_lapsed, events=EVENTS)
hand_back = partial(run_lifecycle.hand_back, events=EVENTS)


@pytest.fixture
def make(sessions: SessionFactory, project: Project, owner: User, clock: MovableClock) -> MakeRun:
    """Make a task with a run that asks for a worker."""

    async def make(**overrides: Any) -> Run:
        async with unit_of_work(sessions) as session:
            task = await make_task(session, project=project, created_by=owner)
            return await make_run(session, task=task, **({"dispatch_requested_at": clock.now} | overrides))

    return make


@pytest.fixture
async def queued(make: MakeRun) -> Run:
    return await make()


@pytest.fixture
async def claimed(sessions: SessionFactory, queued: Run) -> Run:
    """A run that OWNER performs."""
    async with unit_of_work(sessions) as session:
        assert await claim(session, queued.id, owner=OWNER) is not None
    return queued


async def stored(sessions: SessionFactory, run: Run) -> Row[Any]:
    """Return the run's columns and its task's copy of the status."""
    async with sessions() as session:
        statement = select(Run.__table__, Task.latest_run_status).join(Task, Task.id == Run.task_id)
        return (await session.execute(statement.where(Run.id == run.id))).one()


def cancel(run: Run) -> Callable[[AsyncSession], Awaitable[bool]]:
    return lambda session: set_status(session, run.id, RunStatus.CANCELLED)


def finish(run: Run, owner: str = OWNER, **more: Any) -> Callable[[AsyncSession], Awaitable[bool]]:
    values = {"status": RunStatus.COMPLETED, "output": {"summary": "done"}} | more
    return lambda session: run_lifecycle.finish(session, run.id, RunEnd(**values), owner=owner, events=EVENTS)


class TestStatuses:
    @pytest.mark.parametrize("to", list(RunStatus))
    @pytest.mark.parametrize("source", list(RunStatus))
    async def test_every_pair(
        self, sessions: SessionFactory, make: MakeRun, clock: MovableClock, source: RunStatus, to: RunStatus
    ) -> None:
        """Contract 13.2: any status while the run is not over; a run that is over keeps its status."""
        run = await make(status=source)
        clock.advance(minutes=1)
        if source in TERMINAL_STATUSES and to is not source:
            with pytest.raises(StateRefused) as refusal:
                async with unit_of_work(sessions) as session:
                    await set_status(session, run.id, to)
            assert refusal.value.body == {"error": f"Run is already {source}"}
            to = source
        else:
            async with unit_of_work(sessions) as session:
                await set_status(session, run.id, to)
        row = await stored(sessions, run)
        assert (row.status, row.latest_run_status) == (to, to)
        if source in TERMINAL_STATUSES:
            assert row.completed_at == run.completed_at
        elif to in TERMINAL_STATUSES:
            assert row.completed_at == clock.now
        else:
            assert row.completed_at is None

    def test_table_says_the_same(self) -> None:
        for source in RunStatus:
            expected = set() if source in TERMINAL_STATUSES else set(RunStatus) - {source}
            assert TRANSITIONS[source] == expected

    @pytest.mark.parametrize("source", [status for status in RunStatus if status is not RunStatus.QUEUED])
    async def test_only_a_queued_run_is_claimed(
        self, sessions: SessionFactory, make: MakeRun, source: RunStatus
    ) -> None:
        run = await make(status=source)
        async with unit_of_work(sessions) as session:
            assert await claim(session, run.id, owner=OWNER) is None
        row = await stored(sessions, run)
        assert (row.status, row.lease_owner, row.attempts) == (source, None, 0)

    async def test_run_that_asked_for_no_worker_is_not_claimed(
        self, sessions: SessionFactory, make: MakeRun
    ) -> None:
        """Contract 13.1: its client performs it."""
        run = await make(dispatch_requested_at=None)
        async with unit_of_work(sessions) as session:
            assert await claim(session, run.id, owner=OWNER) is None
        assert (await stored(sessions, run)).status == RunStatus.QUEUED

    async def test_claim_takes_a_lease(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock
    ) -> None:
        row = await stored(sessions, claimed)
        assert (row.status, row.latest_run_status) == ("in_progress", "in_progress")
        assert (row.lease_owner, row.attempts) == (OWNER, 1)
        assert row.lease_expires_at == clock.now + run_lifecycle.LEASE

    @pytest.mark.parametrize("status", sorted(TERMINAL_STATUSES))
    async def test_finish_ends_the_run_and_its_lease(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock, status: RunStatus
    ) -> None:
        clock.advance(minutes=1)
        async with unit_of_work(sessions) as session:
            assert await finish(claimed, status=status, error_message="why")(session) is True
        row = await stored(sessions, claimed)
        assert (row.status, row.latest_run_status, row.completed_at) == (status, status, clock.now)
        assert (row.output, row.error_message) == ({"summary": "done"}, "why")
        assert (row.lease_owner, row.lease_expires_at) == (None, None)

    async def test_finish_appends_artifacts(self, sessions: SessionFactory, make: MakeRun) -> None:
        run = await make(artifacts=[{"id": "given"}])
        async with unit_of_work(sessions) as session:
            await claim(session, run.id, owner=OWNER)
            await finish(run, artifacts=[{"id": "made"}])(session)
        assert (await stored(sessions, run)).artifacts == [{"id": "given"}, {"id": "made"}]

    @pytest.mark.parametrize(
        "act",
        [
            pytest.param(run_lifecycle.extend_lease, id="extend"),
            pytest.param(run_lifecycle.mark_agent_started, id="mark-agent-started"),
            pytest.param(hand_back, id="hand-back"),
            pytest.param(
                partial(run_lifecycle.finish, end=RunEnd(status=RunStatus.COMPLETED), events=EVENTS),
                id="finish",
            ),
        ],
    )
    async def test_other_jobs_cannot_act_for_the_owner(
        self, sessions: SessionFactory, claimed: Run, act: Callable[..., Awaitable[bool]]
    ) -> None:
        before = await stored(sessions, claimed)
        async with unit_of_work(sessions) as session:
            assert await act(session, claimed.id, owner=OTHER) is False
        assert await stored(sessions, claimed) == before
        async with unit_of_work(sessions) as session:
            assert await act(session, claimed.id, owner=OWNER) is True
        assert await stored(sessions, claimed) != before or act is run_lifecycle.extend_lease

    async def test_first_note_of_the_agents_start_stands(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock
    ) -> None:
        started_at = clock.now.isoformat()
        for _ in range(2):
            async with unit_of_work(sessions) as session:
                assert await run_lifecycle.mark_agent_started(session, claimed.id, owner=OWNER)
            clock.advance(seconds=1)
        assert (await stored(sessions, claimed)).state[AGENT_STARTED] == started_at

    async def test_older_run_does_not_change_the_tasks_latest_status(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock
    ) -> None:
        clock.advance(minutes=1)
        async with unit_of_work(sessions) as session:
            task = await session.get_one(Task, claimed.task_id)
            await make_run(session, task=task, status=RunStatus.QUEUED)
            assert await finish(claimed)(session)
        row = await stored(sessions, claimed)
        assert (row.status, row.latest_run_status) == ("completed", "queued")


class TestLapsedLease:
    async def lapse(self, clock: MovableClock) -> None:
        clock.now += run_lifecycle.LEASE

    async def recover(self, sessions: SessionFactory) -> tuple[list[Any], list[Any]]:
        async with unit_of_work(sessions) as session:
            return await recover_lapsed(session)

    async def test_live_lease_is_left_alone(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock
    ) -> None:
        clock.now += run_lifecycle.LEASE / 2
        assert await self.recover(sessions) == ([], [])
        assert (await stored(sessions, claimed)).lease_owner == OWNER

    async def test_run_whose_agent_had_not_started_is_repeated(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock
    ) -> None:
        await self.lapse(clock)
        assert await self.recover(sessions) == ([claimed.id], [])
        row = await stored(sessions, claimed)
        assert (row.status, row.latest_run_status, row.lease_owner) == ("queued", "queued", None)
        assert row.dispatch_requested_at == claimed.dispatch_requested_at
        decision = {"decision": "queued again", "reason": "worker lost", "at": clock.now.isoformat()}
        assert row.state[RECOVERY] == decision

    async def test_run_whose_agent_had_started_fails(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock
    ) -> None:
        """The agent may have acted already."""
        async with unit_of_work(sessions) as session:
            assert await run_lifecycle.mark_agent_started(session, claimed.id, owner=OWNER)
        await self.lapse(clock)
        assert await self.recover(sessions) == ([], [claimed.id])
        row = await stored(sessions, claimed)
        assert (row.status, row.completed_at) == ("failed", clock.now)
        assert row.error_message
        decision = {"decision": "failed", "reason": "worker lost", "at": clock.now.isoformat()}
        assert row.state[RECOVERY] == decision

    async def test_run_is_given_up_after_the_last_attempt(
        self, sessions: SessionFactory, queued: Run, clock: MovableClock
    ) -> None:
        decisions = []
        for attempt in range(run_lifecycle.MAX_ATTEMPTS):
            async with unit_of_work(sessions) as session:
                assert await claim(session, queued.id, owner=f"job-{attempt}") is not None
            await self.lapse(clock)
            decisions.append(await self.recover(sessions))
        assert decisions[:-1] == [([queued.id], [])] * (run_lifecycle.MAX_ATTEMPTS - 1)
        assert decisions[-1] == ([], [queued.id])
        assert (await stored(sessions, queued)).status == "failed"


class TestRaces:
    """Named in the docstring of services/runs/lifecycle.py."""

    async def test_claim_against_claim(self, sessions: SessionFactory, queued: Run) -> None:
        first, second = await race(
            sessions,
            partial(claim, run_id=queued.id, owner=OWNER),
            partial(claim, run_id=queued.id, owner=OTHER),
        )
        assert first is not None
        assert second is None
        row = await stored(sessions, queued)
        assert (row.lease_owner, row.attempts) == (OWNER, 1)

    async def test_claim_against_cancel(self, sessions: SessionFactory, queued: Run) -> None:
        _, second = await race(sessions, cancel(queued), partial(claim, run_id=queued.id, owner=OWNER))
        assert second is None
        row = await stored(sessions, queued)
        assert (row.status, row.lease_owner) == ("cancelled", None)

    async def test_finish_against_cancel_when_the_cancel_is_first(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock
    ) -> None:
        """The status stays; what the agent left is kept."""
        made = [{"id": "patch"}]
        _, ended = await race(sessions, cancel(claimed), finish(claimed, artifacts=made))
        assert ended is False
        row = await stored(sessions, claimed)
        assert (row.status, row.latest_run_status, row.completed_at) == ("cancelled", "cancelled", clock.now)
        assert (row.output, row.artifacts) == ({"summary": "done"}, made)

    async def test_finish_against_cancel_when_the_finish_is_first(
        self, sessions: SessionFactory, claimed: Run
    ) -> None:
        async def refused(session: AsyncSession) -> dict[str, Any]:
            with pytest.raises(StateRefused) as refusal:
                await cancel(claimed)(session)
            return refusal.value.body

        ended, refusal = await race(sessions, finish(claimed), refused)
        assert ended is True
        assert refusal == {"error": "Run is already completed"}
        assert (await stored(sessions, claimed)).status == "completed"

    async def test_finish_against_finish(self, sessions: SessionFactory, claimed: Run) -> None:
        """The same job twice, as a queue may deliver it."""
        outcome = await race(
            sessions, finish(claimed), finish(claimed, status=RunStatus.FAILED, output={"summary": "late"})
        )
        assert outcome == (True, False)
        row = await stored(sessions, claimed)
        assert (row.status, row.output) == ("completed", {"summary": "done"})

    async def test_end_that_is_repeated_since_it_was_not_heard_brings_nothing_twice(
        self, sessions: SessionFactory, claimed: Run
    ) -> None:
        artifact = {"id": "1" * 32, "name": "changes.patch"}
        ending = finish(claimed, status=RunStatus.CANCELLED, artifacts=[artifact])
        for first in (True, False):
            async with unit_of_work(sessions) as session:
                assert await ending(session) is first
        assert (await stored(sessions, claimed)).artifacts == [artifact]

    async def test_finish_after_a_lapsed_lease(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock
    ) -> None:
        clock.now += run_lifecycle.LEASE
        recovered, ended = await race(sessions, recover_lapsed, finish(claimed))
        assert recovered == ([claimed.id], [])
        assert ended is False
        assert (await stored(sessions, claimed)).status == "queued"

    async def test_finish_after_another_job_took_the_run_over(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock
    ) -> None:
        clock.now += run_lifecycle.LEASE
        async with unit_of_work(sessions) as session:
            await recover_lapsed(session)
        async with unit_of_work(sessions) as session:
            assert await claim(session, claimed.id, owner=OTHER) is not None
        async with unit_of_work(sessions) as session:
            assert await finish(claimed)(session) is False
        row = await stored(sessions, claimed)
        assert (row.status, row.lease_owner, row.output) == ("in_progress", OTHER, None)

    async def test_recovery_against_finish(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock
    ) -> None:
        clock.now += run_lifecycle.LEASE
        ended, recovered = await race(sessions, finish(claimed), recover_lapsed)
        assert ended is True
        assert recovered == ([], [])
        assert (await stored(sessions, claimed)).status == "completed"

    async def test_recovery_against_heartbeat(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock
    ) -> None:
        """A heartbeat in the last moment saves the run."""
        clock.now += run_lifecycle.LEASE
        kept, recovered = await race(
            sessions,
            partial(run_lifecycle.extend_lease, run_id=claimed.id, owner=OWNER),
            recover_lapsed,
        )
        assert kept is True
        assert recovered == ([], [])
        assert (await stored(sessions, claimed)).lease_owner == OWNER

    async def test_heartbeat_against_recovery(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock
    ) -> None:
        """A heartbeat after the last moment tells the job to stop."""
        clock.now += run_lifecycle.LEASE
        recovered, kept = await race(
            sessions,
            recover_lapsed,
            partial(run_lifecycle.extend_lease, run_id=claimed.id, owner=OWNER),
        )
        assert recovered == ([claimed.id], [])
        assert kept is False

    async def test_recovery_against_recovery(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock
    ) -> None:
        clock.now += run_lifecycle.LEASE
        outcome = await race(sessions, recover_lapsed, recover_lapsed)
        assert outcome == (([claimed.id], []), ([], []))
        assert (await stored(sessions, claimed)).status == "queued"

    async def test_hand_back_against_cancel(self, sessions: SessionFactory, claimed: Run) -> None:
        _, returned = await race(
            sessions, cancel(claimed), partial(hand_back, run_id=claimed.id, owner=OWNER)
        )
        assert returned is False
        assert (await stored(sessions, claimed)).status == "cancelled"

    async def test_cancel_against_hand_back(self, sessions: SessionFactory, claimed: Run) -> None:
        returned, _ = await race(
            sessions, partial(hand_back, run_id=claimed.id, owner=OWNER), cancel(claimed)
        )
        assert returned is True
        row = await stored(sessions, claimed)
        assert (row.status, row.lease_owner) == ("cancelled", None)
