"""The life of a run: every pair of statuses, and every race that services/runs/run_lifecycle.py names, decided.

Each race is two real transactions: the second begins before the first commits. A sweep does not wait for its lock.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import TERMINAL_STATUSES, RunStatus
from app.errors import StateRefused
from app.models import Project, Run, Task, User
from app.models.runs.run_facts import (
    AGENT_STARTED,
    CANCELLATION,
    FACTS,
    LEFT_OUT,
    NOT_STORED,
    RECOVERY,
    WAITING_FOR,
)
from app.models.runs.run_transitions import TRANSITIONS
from app.runtime import ProcessContext
from app.schemas.runs.run import RunUpdateIn, StartIn
from app.schemas.tasks import BatchAction, BatchIn
from app.services.enqueueing import EXECUTE_RUN
from app.services.retrying.policies import RUN_LEASE, RUN_LOSSES
from app.services.runs import run_edits, run_lifecycle
from app.services.runs.new_runs import start_run
from app.services.runs.run_lifecycle import RunEnd
from app.services.runs.status_changes import transition
from app.services.runs.verification_attempts import verification_lifecycle
from app.services.tasks.batches import change_tasks
from tests.concurrency.races import perform, race
from tests.support import runs
from tests.support.assertions import concerning
from tests.support.clock import MovableClock
from tests.support.database.faults import rolled_back
from tests.support.factories import make_run, make_task
from tests.support.principals import member_of
from tests.support.stand_ins.fakes import RecordingEvents, RecordingQueue
from tests.support.verification import make_attempt, shown

OWNER = "job-1"
OTHER = "job-2"
MakeRun = Callable[..., Awaitable[Run]]
Step = Callable[[AsyncSession], Awaitable[Any]]

EVENTS = RecordingEvents()
claim = partial(run_lifecycle.claim, events=EVENTS)
set_status = partial(run_lifecycle.set_status, events=EVENTS)
recover_lapsed = partial(runs.recover_lapsed, events=EVENTS)
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
    assert await perform(sessions, partial(claim, owner=OWNER)) is not None
    return queued


async def stored(sessions: SessionFactory, run: Run) -> Row[Any]:
    """Return the run's columns and its task's copy of the status."""
    async with unit_of_work(sessions) as session:
        statement = select(Run.__table__, Task.latest_run_status).join(Task, Task.id == Run.task_id)
        return (await session.execute(statement.where(Run.id == run.id))).one()


def cancel(run: Run) -> Step:
    return lambda session: set_status(session, run.id, RunStatus.CANCELLED)


def finish(run: Run, owner: str = OWNER, **more: Any) -> Step:
    values = {"status": RunStatus.COMPLETED, "output": {"summary": "done"}} | more
    return lambda session: run_lifecycle.finish(session, run.id, RunEnd(**values), owner=owner, events=EVENTS)


async def fail_silent(session: AsyncSession) -> bool:
    return bool(await runs.fail_silent(session, silence=timedelta(0), events=EVENTS))


async def end_lost_repairs(session: AsyncSession) -> bool:
    lost = (await session.scalars(run_lifecycle.lost_repairs())).all()
    await verification_lifecycle.end_lost_repairs(session, lost, events=EVENTS)
    return bool(lost)


async def cancel_and_reopen(session: AsyncSession, run: Run) -> bool:
    await cancel(run)(session)
    await run_lifecycle.reopen(session, run.id, events=EVENTS)
    return True


def mark_agent_started(run: Run) -> Step:
    return partial(run_lifecycle.mark_agent_started, run_id=run.id, owner=OWNER)


class TestStatuses:
    @pytest.mark.parametrize("source", list(RunStatus))
    async def test_every_pair_of_statuses_changes_or_is_refused(
        self, sessions: SessionFactory, make: MakeRun, clock: MovableClock, source: RunStatus
    ) -> None:
        """Contract 13.2: any status while the run is not over; a run that is over keeps its status."""
        for to in RunStatus:
            run = await make(status=source)
            clock.advance(minutes=1)
            is_refused = source in TERMINAL_STATUSES and to is not source
            with concerning(to):
                if is_refused:
                    with pytest.raises(StateRefused) as refusal:
                        await perform(sessions, partial(set_status, run_id=run.id, status=to))
                    assert refusal.value.body == {"error": f"Run is already {source}"}
                else:
                    is_changed = await perform(sessions, partial(set_status, run_id=run.id, status=to))
                    assert is_changed is (to is not source)
                row = await stored(sessions, run)
                becomes = source if is_refused else to
                assert (row.status, row.latest_run_status) == (becomes, becomes)
                if source in TERMINAL_STATUSES:
                    assert row.completed_at == run.completed_at
                else:
                    assert row.completed_at == (clock.now if to in TERMINAL_STATUSES else None)

    @pytest.mark.parametrize("source", list(RunStatus))
    async def test_every_pair_of_statuses_keeps_the_facts_that_are_still_true(
        self, sessions: SessionFactory, make: MakeRun, source: RunStatus
    ) -> None:
        """Regression: the start of an agent that a PATCH had replaced failed the run of the next, lost in its clone."""
        for to in RunStatus:
            run = await make(status=source, facts=dict.fromkeys(FACTS, "fact"))
            with suppress(StateRefused):
                await perform(sessions, partial(set_status, run_id=run.id, status=to))
            row = await stored(sessions, run)
            gone = FACTS - row.facts.keys()
            with concerning(to):
                if row.status == source or to is RunStatus.IN_PROGRESS:
                    assert gone == set()
                elif to in TERMINAL_STATUSES:
                    assert gone == {WAITING_FOR}
                else:
                    # The next agent of the run has not started.
                    assert gone == {WAITING_FOR, AGENT_STARTED}
                assert FACTS & row.state.keys() == set()

    async def test_change_is_logged_once_it_is_committed(
        self, sessions: SessionFactory, make: MakeRun, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Regression: the log showed ends of runs that a failed transaction had left in progress."""
        caplog.set_level("INFO")
        run = await make()
        for transaction, logged in ((rolled_back, 0), (unit_of_work, 1)):
            async with transaction(sessions) as session:
                await cancel(run)(session)
            assert caplog.text.count("run.status_changed") == logged

    async def test_no_run_is_ended_without_a_reason(self, sessions: SessionFactory, make: MakeRun) -> None:
        run = await make()
        async with unit_of_work(sessions) as session:
            for status in TERMINAL_STATUSES:
                with pytest.raises(ValueError, match=f"cannot become {status} without a reason"):
                    await transition(session, EVENTS, status, Run.id == run.id)
        assert (await stored(sessions, run)).status == RunStatus.QUEUED

    async def test_reopened_run_keeps_no_facts_of_its_earlier_end(
        self, sessions: SessionFactory, make: MakeRun
    ) -> None:
        """Regression: it still said that a part of its work was left out, though this time none was."""
        run = await make(status=RunStatus.COMPLETED, facts=dict.fromkeys(FACTS, "fact"))
        await perform(sessions, partial(run_lifecycle.reopen, run_id=run.id, events=EVENTS))
        gone = FACTS - (await stored(sessions, run)).facts.keys()
        assert gone == {WAITING_FOR, AGENT_STARTED, RECOVERY, NOT_STORED, LEFT_OUT, *CANCELLATION}

    def test_table_lists_the_statuses_that_may_follow_each_status(self) -> None:
        """Contract 13.2."""
        following = {
            "not_started": {"queued", "in_progress", "completed", "failed", "cancelled"},
            "queued": {"not_started", "in_progress", "completed", "failed", "cancelled"},
            "in_progress": {"not_started", "queued", "completed", "failed", "cancelled"},
            "completed": set(),
            "failed": set(),
            "cancelled": set(),
        }
        assert following == TRANSITIONS

    @pytest.mark.parametrize(
        "made",
        [
            *({"status": status} for status in RunStatus if status is not RunStatus.QUEUED),
            # Contract 13.1: its client performs it.
            {"dispatch_requested_at": None},
        ],
    )
    async def test_only_a_queued_run_that_asked_for_a_worker_is_claimed(
        self, sessions: SessionFactory, make: MakeRun, made: dict[str, Any]
    ) -> None:
        run = await make(**made)
        assert await perform(sessions, partial(claim, owner=OWNER)) is None
        row = await stored(sessions, run)
        assert (row.status, row.lease_owner, row.attempts) == (run.status, None, 0)

    async def test_claim_takes_a_lease(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock
    ) -> None:
        row = await stored(sessions, claimed)
        assert (row.status, row.latest_run_status) == ("in_progress", "in_progress")
        assert (row.lease_owner, row.attempts) == (OWNER, 1)
        assert row.lease_expires_at == clock.now + RUN_LEASE

    @pytest.mark.parametrize("status", sorted(TERMINAL_STATUSES))
    async def test_finish_ends_the_run_and_its_lease(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock, status: RunStatus
    ) -> None:
        clock.advance(minutes=1)
        assert await perform(sessions, finish(claimed, status=status, error_message="why")) is True
        row = await stored(sessions, claimed)
        assert (row.status, row.latest_run_status, row.completed_at) == (status, status, clock.now)
        assert (row.output, row.error_message) == ({"summary": "done"}, "why")
        assert (row.lease_owner, row.lease_expires_at) == (None, None)

    async def test_finish_adds_artifacts_to_those_of_the_run(
        self, sessions: SessionFactory, make: MakeRun
    ) -> None:
        run = await make(artifacts=[{"id": "given"}])
        async with unit_of_work(sessions) as session:
            await claim(session, owner=OWNER)
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
        assert await perform(sessions, partial(act, run_id=claimed.id, owner=OTHER)) is False
        assert await stored(sessions, claimed) == before
        assert await perform(sessions, partial(act, run_id=claimed.id, owner=OWNER)) is True
        assert await stored(sessions, claimed) != before or act is run_lifecycle.extend_lease

    async def test_first_note_of_the_agents_start_stands(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock
    ) -> None:
        started_at = clock.now.isoformat()
        for _ in range(2):
            assert await perform(sessions, mark_agent_started(claimed))
            clock.advance(seconds=1)
        assert (await stored(sessions, claimed)).facts[AGENT_STARTED] == started_at

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
    async def test_live_lease_is_left_alone(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock
    ) -> None:
        clock.now += RUN_LEASE / 2
        assert await perform(sessions, recover_lapsed) == ([], [])
        assert (await stored(sessions, claimed)).lease_owner == OWNER

    async def test_run_with_no_agent_started_is_repeated(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock
    ) -> None:
        clock.now += RUN_LEASE
        assert await perform(sessions, recover_lapsed) == ([claimed.id], [])
        row = await stored(sessions, claimed)
        assert (row.status, row.latest_run_status, row.lease_owner) == ("queued", "queued", None)
        assert row.dispatch_requested_at == claimed.dispatch_requested_at
        decision = {"decision": "queued again", "reason": "worker lost", "at": clock.now.isoformat()}
        assert row.facts[RECOVERY] == decision | {"losses": 1}

    async def test_run_with_an_agent_started_fails(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock
    ) -> None:
        """The agent may have acted already."""
        assert await perform(sessions, mark_agent_started(claimed))
        clock.now += RUN_LEASE
        assert await perform(sessions, recover_lapsed) == ([], [claimed.id])
        row = await stored(sessions, claimed)
        assert (row.status, row.completed_at) == ("failed", clock.now)
        assert "worker" in row.error_message
        decision = {"decision": "failed", "reason": "worker lost", "at": clock.now.isoformat()}
        assert row.facts[RECOVERY] == decision | {"losses": 1}

    @pytest.mark.parametrize("status", [RunStatus.QUEUED, RunStatus.NOT_STARTED])
    async def test_run_that_was_restarted_is_repeated_while_its_next_agent_has_not_started(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock, status: RunStatus
    ) -> None:
        assert await perform(sessions, mark_agent_started(claimed))
        for to in dict.fromkeys([status, RunStatus.QUEUED]):
            assert await perform(sessions, partial(set_status, run_id=claimed.id, status=to))
        assert not await perform(sessions, mark_agent_started(claimed))
        assert await perform(sessions, partial(claim, owner=OTHER))
        clock.now += RUN_LEASE
        assert await perform(sessions, recover_lapsed) == ([claimed.id], [])

    @pytest.mark.parametrize("deploys", [0, RUN_LOSSES])
    async def test_run_is_given_up_after_the_last_loss_and_a_claim_handed_back_is_none(
        self, sessions: SessionFactory, queued: Run, clock: MovableClock, deploys: int
    ) -> None:
        """Regression: after two deploys, the first loss failed a run."""
        for _ in range(deploys):
            assert await perform(sessions, partial(claim, owner=OWNER)) is not None
            assert await perform(sessions, partial(hand_back, run_id=queued.id, owner=OWNER))
        decisions = []
        for attempt in range(RUN_LOSSES):
            claiming = partial(claim, owner=f"job-{attempt}")
            assert await perform(sessions, claiming) is not None
            clock.now += RUN_LEASE
            decisions.append(await perform(sessions, recover_lapsed))
        assert decisions[:-1] == [([queued.id], [])] * (RUN_LOSSES - 1)
        assert decisions[-1] == ([], [queued.id])
        assert (await stored(sessions, queued)).status == "failed"

    @pytest.mark.parametrize("name", ["recover", "end repairs", "fail silent"])
    async def test_sweep_does_not_wait_for_a_batch_over_the_same_tasks(
        self,
        sessions: SessionFactory,
        project: Project,
        owner: User,
        make: MakeRun,
        clock: MovableClock,
        name: str,
    ) -> None:
        """Regression: sweeps locked runs alone, or runs and tasks in no fixed order: each could wait for the other."""
        held = {"lease_owner": OWNER, "lease_expires_at": clock.now} if name != "fail silent" else {}
        if name == "end repairs":
            held["facts"] = {AGENT_STARTED: "now"}
        made = [await make(status=RunStatus.IN_PROGRESS, **held) for _ in range(4)]
        if name == "end repairs":
            async with unit_of_work(sessions) as session:
                for run in made:
                    await make_attempt(session, run, shown(verdict="refuted"))
        free, *others = made
        caller = member_of(project, owner)
        async with unit_of_work(sessions) as batch:
            # The last one alone locks no runs.
            actions = (BatchAction.ARCHIVE, BatchAction.DELETE, BatchAction.UNARCHIVE)
            for action, run in zip(actions, others, strict=True):
                await change_tasks(batch, caller, BatchIn(action=action, ids=[run.task_id]))
            assert await perform(sessions, STEPS[name](free))
            rows = [await stored(sessions, run) for run in made]
        assert [row.status == "in_progress" for row in rows] == [False, True, True, True]
        assert await perform(sessions, STEPS[name](free))
        assert {(await stored(sessions, run)).status for run in made} & {"in_progress"} == set()


# What a job does with the run that OWNER performs, by its name.
STEPS: dict[str, Callable[[Run], Step]] = {
    "claim": lambda _: partial(claim, owner=OWNER),
    "claim by another": lambda _: partial(claim, owner=OTHER),
    "cancel": cancel,
    "finish": finish,
    "finish with a patch": partial(finish, artifacts=[{"id": "patch"}]),
    "finish late": partial(finish, status=RunStatus.FAILED, output={"summary": "late"}),
    "heartbeat": lambda run: partial(run_lifecycle.extend_lease, run_id=run.id, owner=OWNER),
    "hand back": lambda run: partial(hand_back, run_id=run.id, owner=OWNER),
    "recover": lambda _: recover_lapsed,
    "complete": lambda run: partial(set_status, run_id=run.id, status=RunStatus.COMPLETED),
    "end repairs": lambda _: end_lost_repairs,
    "fail silent": lambda _: fail_silent,
    "restart": lambda run: partial(set_status, run_id=run.id, status=RunStatus.QUEUED),
    "start agent": mark_agent_started,
    "cancel and reopen": lambda run: partial(cancel_and_reopen, run=run),
}
Requests = dict[str, Callable[[Run], Step]]
STARTED_TOO_LATE = "Only queued or not_started cloud runs can be started"
OVER = {"error": "Run is already completed"}
FAILED = {"error": "Run is already failed"}
DONE = {"output": {"summary": "done"}}
RECOVERED, NONE_LAPSED = "recovered", "none lapsed"


def recovery(reason: str, losses: int) -> dict[str, object]:
    at = (MovableClock().now + RUN_LEASE).isoformat()
    note = {"decision": "queued again", "reason": reason, "at": at, "losses": losses}
    return {"status": "queued", "facts": {RECOVERY: note}}


class TestRaces:
    """Races that services/runs/run_lifecycle.py names: the steps, their results, and the row that they leave."""

    @pytest.mark.parametrize(
        ("run", "first", "second", "outcome", "left"),
        [
            ("queued", "claim", "claim by another", (True, False), {"lease_owner": OWNER, "attempts": 1}),
            ("queued", "cancel", "claim", (True, False), {"status": "cancelled", "lease_owner": None}),
            # The status stays; what the agent left is kept.
            (
                *("claimed", "cancel", "finish with a patch", (True, False)),
                {"status": "cancelled", "latest_run_status": "cancelled", "completed_at": MovableClock().now}
                | DONE
                | {"artifacts": [{"id": "patch"}]},
            ),
            ("claimed", "finish", "cancel", (True, OVER), {"status": "completed"}),
            # The same job twice, as a queue may deliver it.
            ("claimed", "finish", "finish late", (True, False), {"status": "completed"} | DONE),
            ("lapsed", "recover", "finish", (RECOVERED, False), {"status": "queued"}),
            ("lapsed", "finish", "recover", (True, NONE_LAPSED), {"status": "completed"}),
            # A heartbeat in the last moment saves the run; one after it has the job stop.
            ("lapsed", "heartbeat", "recover", (True, NONE_LAPSED), {"lease_owner": OWNER}),
            ("lapsed", "recover", "heartbeat", (RECOVERED, False), {"status": "queued"}),
            # The sweep leaves the run to the transaction that has locked it.
            ("lapsed", "start agent", "recover", (True, NONE_LAPSED), {"status": "in_progress"}),
            ("lapsed", "recover", "start agent", (RECOVERED, False), recovery("worker lost", 1)),
            ("lapsed", "hand back", "recover", (True, NONE_LAPSED), recovery("worker stopped", 0)),
            ("lapsed", "recover", "hand back", (RECOVERED, False), recovery("worker lost", 1)),
            ("lapsed", "recover", "recover", (RECOVERED, NONE_LAPSED), {"status": "queued"}),
            ("claimed", "cancel", "hand back", (True, False), {"status": "cancelled"}),
            ("claimed", "hand back", "cancel", (True, True), {"status": "cancelled", "lease_owner": None}),
            # The run waits for its next worker; the first can neither end it nor start an agent.
            ("claimed", "restart", "finish", (True, False), {"status": "queued", "output": None}),
            ("claimed", "finish", "restart", (True, OVER), {"status": "completed"} | DONE),
            ("claimed", "restart", "start agent", (True, False), {"status": "queued", "facts": {}}),
            ("claimed", "start agent", "restart", (True, True), {"status": "queued", "facts": {}}),
            ("claimed", "restart", "heartbeat", (True, False), {"status": "queued", "lease_owner": None}),
            ("claimed", "restart", "hand back", (True, False), {"status": "queued", "facts": {}}),
            ("lapsed", "restart", "recover", (True, NONE_LAPSED), {"status": "queued", "facts": {}}),
            ("silent", "fail silent", "complete", (True, FAILED), {"status": "failed"}),
            ("silent", "complete", "fail silent", (True, False), {"status": "completed"}),
            ("queued", "cancel and reopen", "claim", (True, True), {"status": "in_progress", "attempts": 1}),
        ],
        indirect=["run"],
    )
    async def test_of_two_steps_at_once(
        self,
        sessions: SessionFactory,
        run: Run,
        first: str,
        second: str,
        outcome: tuple[object, object],
        left: dict[str, object],
    ) -> None:
        def outcome_of(name: str) -> Step:
            async def step(session: AsyncSession) -> object:
                try:
                    returned = await STEPS[name](run)(session)
                except StateRefused as refused:
                    return refused.body
                if name == "recover":
                    return {(run.id,): RECOVERED, (): NONE_LAPSED}[tuple(returned[0])]
                # A claim returns the run, or None.
                return returned if isinstance(returned, bool) else returned is not None

            return step

        assert await race(sessions, outcome_of(first), outcome_of(second)) == outcome
        row = await stored(sessions, run)
        assert {name: getattr(row, name) for name in left} == left

    @pytest.fixture
    async def run(self, request: pytest.FixtureRequest, make: MakeRun, clock: MovableClock) -> Run:
        """A run that waits, that OWNER performs, that has a lapsed lease, or that an outside agent performs."""
        if request.param == "silent":
            return await make(status=RunStatus.IN_PROGRESS)
        run = await make()
        if request.param != "queued":
            await perform(request.getfixturevalue("sessions"), STEPS["claim"](run))
        if request.param == "lapsed":
            clock.now += RUN_LEASE
        return run

    async def test_end_that_is_repeated_since_it_was_not_heard_brings_nothing_twice(
        self, sessions: SessionFactory, claimed: Run
    ) -> None:
        artifact = {"id": "1" * 32, "name": "changes.patch"}
        ending = finish(claimed, status=RunStatus.CANCELLED, artifacts=[artifact])
        assert [await perform(sessions, ending) for _ in range(2)] == [True, False]
        assert (await stored(sessions, claimed)).artifacts == [artifact]

    async def test_finish_after_another_job_took_the_run_over(
        self, sessions: SessionFactory, claimed: Run, clock: MovableClock
    ) -> None:
        clock.now += RUN_LEASE
        await perform(sessions, recover_lapsed)
        assert await perform(sessions, STEPS["claim by another"](claimed)) is not None
        assert await perform(sessions, finish(claimed)) is False
        row = await stored(sessions, claimed)
        assert (row.status, row.lease_owner, row.output) == ("in_progress", OTHER, None)


class TestRacesOfRequests:
    """Races in which a client's request takes part."""

    @pytest.fixture
    def requests(self, project: Project, owner: User, process: ProcessContext) -> Requests:
        caller = member_of(project, owner)

        def start(run: Run) -> Step:
            return lambda session: start_run(session, caller, run.task_id, run.id, StartIn(), clients=process)

        def patch(run: Run, status: RunStatus) -> Step:
            body = RunUpdateIn(status=status)
            return lambda session: run_edits.update_run(
                session, caller, run.task_id, run.id, body, clients=process
            )

        return {
            "claim": STEPS["claim"],
            "start": start,
            **{f"PATCH {status}": partial(patch, status=status) for status in RunStatus},
        }

    @pytest.mark.parametrize(
        ("first", "second", "outcome", "left", "jobs"),
        [
            (
                *("claim", "start"),
                (True, {"error": f"{STARTED_TOO_LATE} (current status: in_progress)"}),
                {"status": "in_progress", "lease_owner": OWNER, "attempts": 1},
                0,
            ),
            ("start", "claim", (True, True), {"status": "in_progress", "attempts": 1}, 1),
            ("start", "start", (True, True), {"status": "queued", "attempts": 0}, 1),
            ("claim", "PATCH queued", (True, True), {"status": "queued", "lease_owner": None}, 1),
            ("PATCH queued", "claim", (True, True), {"status": "in_progress", "lease_owner": OWNER}, 1),
            ("claim", "PATCH not_started", (True, True), {"status": "not_started", "lease_owner": None}, 0),
            ("PATCH not_started", "claim", (True, False), {"status": "not_started", "attempts": 0}, 0),
            ("PATCH not_started", "PATCH queued", (True, True), {"status": "queued"}, 1),
            ("PATCH in_progress", "PATCH completed", (True, True), {"status": "completed"}, 0),
            ("PATCH completed", "PATCH failed", (True, OVER), {"status": "completed"}, 0),
            ("PATCH completed", "PATCH in_progress", (True, OVER), {"status": "completed"}, 0),
        ],
    )
    async def test_of_two_steps_at_once(
        self,
        sessions: SessionFactory,
        queued: Run,
        requests: Requests,
        queue: RecordingQueue,
        first: str,
        second: str,
        outcome: tuple[object, object],
        left: dict[str, object],
        jobs: int,
    ) -> None:
        def outcome_of(name: str) -> Step:
            async def step(session: AsyncSession) -> object:
                try:
                    return await requests[name](queued)(session) is not None
                except StateRefused as refused:
                    return refused.body

            return step

        assert await race(sessions, outcome_of(first), outcome_of(second)) == outcome
        row = await stored(sessions, queued)
        assert {name: getattr(row, name) for name in left} == left
        asked = [job for job in queue.jobs if job.name == EXECUTE_RUN]
        assert len(asked) == jobs
