"""Every pair of phases is one that a step of a run makes, or one that no step makes; every row is in one phase."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import product
from typing import Any

import pytest
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.run_result import RunResult, WorkBase
from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import TERMINAL_STATUSES, RunStatus, Verdict
from app.errors import StateRefused
from app.models import Project, Run, Task, User
from app.models.runs.run_transitions import PHASE, TRANSITIONS, RunPhase, is_in
from app.runtime import ProcessContext
from app.schemas.runs.run import CancelIn, RunUpdateIn
from app.services.runs import run_edits, run_lifecycle
from app.services.runs.run_lifecycle import RunEnd
from app.services.runs.verification_attempts import verification_lifecycle, verification_requests
from app.services.runs.verification_attempts.verification_lifecycle import Conclusion, RunDelivery
from app.verdicts.definitions import unite
from tests.concurrency.races import perform
from tests.support import runs
from tests.support.factories import make_run
from tests.support.principals import member_of
from tests.support.stand_ins.fakes import RecordingEvents
from tests.support.verification import COMMIT, make_attempt, make_run_in, shown

Step = Callable[[AsyncSession], Awaitable[Any]]
Steps = Callable[[Run], Mapping[str, Step]]

JOB = "job"
EVENTS = RecordingEvents()
END = RunEnd(status=RunStatus.COMPLETED)
STATUSES_OF: Mapping[RunPhase, frozenset[RunStatus]] = {
    RunPhase.NOT_STARTED: frozenset({RunStatus.NOT_STARTED}),
    RunPhase.QUEUED: frozenset({RunStatus.QUEUED}),
    RunPhase.WORKING: frozenset({RunStatus.IN_PROGRESS}),
    RunPhase.OUTSIDE: frozenset({RunStatus.IN_PROGRESS}),
    RunPhase.CHECKING: frozenset({RunStatus.IN_PROGRESS}),
    RunPhase.REPAIR_QUEUED: frozenset({RunStatus.QUEUED}),
    RunPhase.REPAIRING: frozenset({RunStatus.IN_PROGRESS}),
    RunPhase.OVER: TERMINAL_STATUSES,
}
# The phases that may follow each phase. A run that is over can be reopened besides.
PHASE_CHANGES: Mapping[RunPhase, Collection[RunPhase]] = {
    RunPhase.NOT_STARTED: {RunPhase.QUEUED, RunPhase.OUTSIDE, RunPhase.OVER},
    RunPhase.QUEUED: {RunPhase.NOT_STARTED, RunPhase.WORKING, RunPhase.OUTSIDE, RunPhase.OVER},
    RunPhase.WORKING: {RunPhase.NOT_STARTED, RunPhase.QUEUED, RunPhase.CHECKING, RunPhase.OVER},
    RunPhase.OUTSIDE: {RunPhase.NOT_STARTED, RunPhase.QUEUED, RunPhase.OVER},
    RunPhase.CHECKING: {RunPhase.NOT_STARTED, RunPhase.QUEUED, RunPhase.REPAIR_QUEUED, RunPhase.OVER},
    RunPhase.REPAIR_QUEUED: {RunPhase.NOT_STARTED, RunPhase.REPAIRING, RunPhase.OUTSIDE, RunPhase.OVER},
    RunPhase.REPAIRING: {
        RunPhase.NOT_STARTED,
        RunPhase.QUEUED,
        RunPhase.REPAIR_QUEUED,
        RunPhase.CHECKING,
        RunPhase.OVER,
    },
    RunPhase.OVER: set(),
}


async def phase_of(sessions: SessionFactory, run: Run) -> RunPhase:
    async with unit_of_work(sessions) as session:
        return RunPhase((await session.scalars(select(PHASE).where(Run.id == run.id))).one())


async def conclude(session: AsyncSession, *, repair: str | None = None) -> None:
    claimed = await verification_lifecycle.claim(session, owner=JOB)
    if claimed is not None:
        refuted = Conclusion(shown=shown(verdict=Verdict.REFUTED), repair=repair)
        await verification_lifecycle.conclude(session, claimed, refuted, events=EVENTS)


async def fail_lost(session: AsyncSession, run: Run) -> None:
    await run_lifecycle.mark_agent_started(session, run.id, owner=JOB)
    await runs.recover_lapsed(session, events=EVENTS)
    await verification_lifecycle.end_lost_repairs(session, [run.id], events=EVENTS)


def deliver(run: Run) -> Step:
    work = RunResult(
        structured=None,
        summary="Done.",
        head_branch="taskbeacon/tes-1",
        head_sha=COMMIT,
        base=WorkBase("main", "b" * 40),
        files_changed=["README.md"],
        patch=b"",
        definitions=unite(()),
    )
    delivery = RunDelivery(work=work, base=None, end=END, has_schema=False)
    delivers = partial(verification_lifecycle.deliver, delivery=delivery, owner=JOB, events=EVENTS)
    return partial(delivers, run_id=run.id)


@pytest.fixture
def steps(project: Project, owner: User, process: ProcessContext) -> Steps:
    """Return what a client, a member, a worker and the sweeps do about a run, by name; JOB holds it, if any job."""
    caller = member_of(project, owner)

    def steps(run: Run) -> Mapping[str, Step]:
        of_run: dict[str, Any] = {"run_id": run.id, "events": EVENTS}
        of_job = of_run | {"owner": JOB}

        def patch(status: RunStatus) -> Step:
            body = RunUpdateIn.model_validate({"status": status})
            return lambda session: run_edits.update_run(session, caller, run.task_id, run.id, body, process)

        return {
            **{f"PATCH {status}": patch(status) for status in RunStatus},
            "cancel": lambda session: run_edits.cancel_run(
                session, caller, run.task_id, run.id, CancelIn(), process
            ),
            "skip": lambda session: verification_requests.skip(session, caller, run.task_id, run.id, process),
            "request": partial(run_lifecycle.request_worker, **of_run),
            "claim": partial(run_lifecycle.claim, owner=JOB, events=EVENTS),
            "deliver": deliver(run),
            "finish": partial(run_lifecycle.finish, end=END, **of_job),
            "stop repair": partial(verification_lifecycle.stop_repair, stopped="agent", **of_job),
            "hand back": partial(run_lifecycle.hand_back, **of_job),
            "recover": partial(runs.recover_lapsed, events=EVENTS),
            "fail lost": partial(fail_lost, run=run),
            "fail silent": partial(runs.fail_silent, silence=timedelta(0), events=EVENTS),
            "conclude": conclude,
            "repair": partial(conclude, repair="Correct it."),
        }

    return steps


@pytest.mark.parametrize("phase", RunPhase)
async def test_every_pair_of_phases_changes_by_some_step_or_by_none(
    session: AsyncSession, sessions: SessionFactory, task: Task, steps: Steps, phase: RunPhase
) -> None:
    reached = set()
    for name in steps(Run()):
        run = await make_run_in(session, phase, task=task, owner=JOB)
        assert await phase_of(sessions, run) is phase
        with suppress(StateRefused):
            await perform(sessions, steps(run)[name])
        reached.add(await phase_of(sessions, run))
        # The next step claims none but its own.
        await session.execute(delete(Run).where(Run.id == run.id))
    assert reached - {phase} == set(PHASE_CHANGES[phase])


@pytest.mark.parametrize("phase", [RunPhase.OUTSIDE, RunPhase.OVER])
async def test_run_that_is_reopened_is_queued(
    session: AsyncSession, sessions: SessionFactory, task: Task, phase: RunPhase
) -> None:
    run = await make_run_in(session, phase, task=task)
    await perform(sessions, partial(run_lifecycle.reopen, run_id=run.id, events=EVENTS))
    assert await phase_of(sessions, run) is RunPhase.QUEUED


def test_phases_change_as_their_statuses_do() -> None:
    following: dict[RunStatus, set[RunStatus]] = {status: set() for status in RunStatus}
    for phase, nexts in PHASE_CHANGES.items():
        for status in STATUSES_OF[phase]:
            following[status] |= {to for each in nexts for to in STATUSES_OF[each]} - {status}
    assert following == TRANSITIONS


@pytest.mark.parametrize("status", RunStatus)
async def test_every_row_is_in_one_phase(
    session: AsyncSession, sessions: SessionFactory, task: Task, status: RunStatus
) -> None:
    held = {"lease_owner": JOB, "lease_expires_at": utcnow()}
    leases = [{}, held] if status is RunStatus.IN_PROGRESS else [{}]
    for lease, verdict in product(leases, [None, "", Verdict.REFUTED]):
        run = await make_run(session, task=task, status=status, **lease)
        if verdict is not None:
            await make_attempt(session, run, shown(verdict=verdict or None))
        conditions = (await session.execute(select(*map(is_in, RunPhase)).where(Run.id == run.id))).one()
        phases = [phase for phase, holds in zip(RunPhase, conditions, strict=True) if holds]
        assert phases == [await phase_of(sessions, run)]
        assert status in STATUSES_OF[phases[0]]
