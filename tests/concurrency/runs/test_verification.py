"""Every race of the checks phase that services/runs/verification_attempts/verification_lifecycle.py names.

Each race is two real transactions: the second begins before the first commits. A sweep does not wait for its lock.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.run_result import RunResult, WorkBase
from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import EventType, RunStatus
from app.models import Event, Project, Run, Task, User, VerdictReport, Verification
from app.models.runs.run_facts import CHANGES, with_fact
from app.runtime import ProcessContext
from app.schemas.runs.run import CancelIn
from app.services.code_hosts import verdict_reports
from app.services.retrying.retries import in_transaction
from app.services.runs import run_lifecycle
from app.services.runs.ci_reports import CiReport, fold_ci
from app.services.runs.lost_runs import recover_runs
from app.services.runs.run_edits import cancel_run
from app.services.runs.run_lifecycle import Claim, RunEnd
from app.services.runs.verification_attempts import verification_lifecycle
from app.services.runs.verification_attempts.verification_lifecycle import Conclusion, OpenAttempt
from app.verdicts.definitions import unite
from app.worker.run.run_files import StoredFiles
from app.worker.run.run_outcome import RunReport, end_run
from tests.concurrency.races import count_waiting, perform, race
from tests.fixtures.worker import Workshop
from tests.support.database.faults import refusing_some, rolled_back, unacknowledged_once
from tests.support.factories import make_run, make_task
from tests.support.principals import member_of
from tests.support.stand_ins.fakes import RecordingEvents
from tests.support.verification import COMMIT, make_attempt, make_verified_run, shown
from tests.support.waiting import eventually

Step = Callable[[AsyncSession], Awaitable[Any]]

JOB, OTHER = "job", "other job"
EVENTS = RecordingEvents()
ARTIFACT: Any = {"id": "1" * 32, "name": "changes.patch"}
REFUTED = shown(verdict="refuted")
claim = partial(verification_lifecycle.claim, owner=JOB)


@pytest.fixture
async def run(session: AsyncSession, task: Task) -> Run:
    """A run that waits for its checks."""
    return await make_verified_run(session, task=task)


@pytest.fixture
async def repaired(session: AsyncSession, task: Task) -> Run:
    """A run whose agent corrects its work, performed by JOB."""
    held: dict[str, Any] = {
        "lease_owner": JOB,
        "lease_expires_at": utcnow(),
        "facts": {"agent_started_at": "now"},
    }
    return await make_verified_run(
        session, task=task, verdict="refuted", status=RunStatus.IN_PROGRESS, completed_at=None, **held
    )


@pytest.fixture
def cancel(project: Project, owner: User, process: ProcessContext) -> Callable[[Run], Step]:
    """Cancel a run; returns whether this has ended it."""

    def cancel(run: Run) -> Step:
        async def step(session: AsyncSession) -> bool:
            caller = member_of(project, owner)
            return (await cancel_run(session, caller, run.task_id, run.id, CancelIn(), process))[1]

        return step

    return cancel


async def read(sessions: SessionFactory, run: Run) -> Run:
    async with unit_of_work(sessions) as session:
        return await session.get_one(Run, run.id)


async def attempt_of(sessions: SessionFactory, run: Run) -> Verification:
    async with unit_of_work(sessions) as session:
        newest = (
            select(Verification).where(Verification.run_id == run.id).order_by(Verification.attempt.desc())
        )
        return (await session.scalars(newest.limit(1))).one()


async def change(sessions: SessionFactory, **values: Any) -> None:
    """Change all attempts that are open."""
    async with unit_of_work(sessions) as session:
        await session.execute(update(Verification).where(Verification.finished_at.is_(None)).values(values))


async def ends(sessions: SessionFactory, run: Run) -> list[str]:
    """Return the events about the end of a run and of its verification, in their order."""
    told = (EventType.VERIFICATION_FINISHED, EventType.RUN_CANCELLED, EventType.RUN_COMPLETED)
    async with unit_of_work(sessions) as session:
        of_run = select(Event.type).where(Event.run_id == run.id, Event.type.in_(told))
        return list(await session.scalars(of_run.order_by(Event.subject_seq)))


def conclude(claimed: OpenAttempt) -> Step:
    conclusion = Conclusion(shown=REFUTED)
    return lambda session: verification_lifecycle.conclude(session, claimed, conclusion, events=EVENTS)


def heartbeat(claimed: OpenAttempt) -> Step:
    return lambda session: verification_lifecycle.extend_lease(session, claimed)


def recover(run: Run) -> Step:
    return lambda session: verification_lifecycle.recover_attempts(session, [run.id], events=EVENTS)


async def test_lost_worker_is_logged_once_its_attempt_is_given_up(
    sessions: SessionFactory, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: it was logged by a sweep that was rolled back, and again by the next."""
    assert await perform(sessions, claim) is not None
    await change(sessions, lease_expires_at=utcnow())
    for transaction, logged in ((rolled_back, 0), (unit_of_work, 1)):
        async with transaction(sessions) as session:
            await recover(run)(session)
        assert caplog.text.count("verification.worker_lost") == logged


class TestClaims:
    async def test_two_jobs_get_two_attempts(
        self, session: AsyncSession, sessions: SessionFactory, task: Task, run: Run
    ) -> None:
        other = await make_verified_run(session, task=task)
        first, second = await race(sessions, claim, partial(verification_lifecycle.claim, owner=OTHER))
        assert first is not None
        assert second is not None
        assert (first.run_id, second.run_id) == (run.id, other.id)

    async def test_one_attempt_is_claimed_by_one_job(self, sessions: SessionFactory, run: Run) -> None:
        first, second = await race(sessions, claim, partial(verification_lifecycle.claim, owner=OTHER))
        assert (first is not None, second) == (True, None)
        assert (await attempt_of(sessions, run)).lease_owner == JOB

    async def test_run_has_one_open_attempt(self, session: AsyncSession, run: Run) -> None:
        with pytest.raises(IntegrityError, match="uq_verifications_open"):
            await make_attempt(session, run, shown(attempt=2))

    async def test_claim_that_is_repeated_since_it_was_not_heard_gets_the_same_attempt(
        self, session: AsyncSession, sessions: SessionFactory, task: Task, run: Run
    ) -> None:
        """Regression: it claimed another one, or none, and the first waited for the end of its lease."""
        other = await make_verified_run(session, task=task)
        with unacknowledged_once() as lost:
            claimed = await in_transaction(sessions, claim)
        assert lost
        assert claimed is not None
        assert claimed.run_id == run.id
        assert (await attempt_of(sessions, other)).lease_owner is None

    @pytest.mark.parametrize("model", [Verification, VerdictReport])
    async def test_claim_takes_no_more_than_it_asks_for_by_any_plan(
        self, session: AsyncSession, sessions: SessionFactory, task: Task, model: Any
    ) -> None:
        """Regression: PostgreSQL chose and locked others for each row that it looked at."""
        for _ in range(12):
            made = await make_verified_run(session, task=task)
            if model is VerdictReport:
                session.add(VerdictReport(run_id=made.id, asked_at=utcnow(), due_at=utcnow()))
        await session.commit()
        async with unit_of_work(sessions) as unit:
            await unit.execute(text(f"ANALYZE {model.__tablename__}"))
            for way in ("hashagg", "hashjoin", "mergejoin", "material", "memoize", "sort", "bitmapscan"):
                await unit.execute(text(f"SET LOCAL enable_{way} = off"))
            if model is Verification:
                assert await claim(unit) is not None
                is_claimed, most = Verification.lease_owner == JOB, 1
            else:
                assert len(await verdict_reports.claim(unit, due_by=utcnow())) == 10
                is_claimed, most = VerdictReport.due_at > utcnow(), 10
            assert await unit.scalar(select(func.count()).select_from(model).where(is_claimed)) == most


class TestLeases:
    @pytest.fixture
    async def claimed(
        self, request: pytest.FixtureRequest, sessions: SessionFactory, run: Run
    ) -> OpenAttempt:
        """An attempt whose lease has lapsed; `spent` has lost two workers before."""
        made = await perform(sessions, claim)
        assert made is not None
        assert made.run_id == run.id
        await change(sessions, lease_expires_at=utcnow(), losses=2 if request.param == "spent" else 0)
        return made

    @pytest.mark.parametrize(
        ("claimed", "first", "second", "outcome", "status", "holder"),
        [
            # A heartbeat in the last moment saves the attempt; one after it has the job stop.
            ("lapsed", "heartbeat", "recover", (True, None), "in_progress", JOB),
            ("lapsed", "recover", "heartbeat", (None, False), "in_progress", None),
            ("spent", "heartbeat", "recover", (True, None), "in_progress", JOB),
            ("spent", "recover", "heartbeat", (None, False), "completed", None),
            ("lapsed", "conclude", "recover", (True, None), "completed", None),
            ("lapsed", "recover", "conclude", (None, False), "in_progress", None),
            ("spent", "conclude", "recover", (True, None), "completed", None),
            ("spent", "recover", "conclude", (None, False), "completed", None),
            ("lapsed", "conclude", "cancel", (True, False), "completed", None),
            ("lapsed", "cancel", "conclude", (True, False), "cancelled", None),
            ("lapsed", "recover", "recover", (None, None), "in_progress", None),
            ("spent", "cancel", "recover", (True, None), "cancelled", None),
            ("spent", "recover", "cancel", (None, False), "completed", None),
        ],
        indirect=["claimed"],
    )
    async def test_of_two_steps_at_once(
        self,
        sessions: SessionFactory,
        run: Run,
        cancel: Callable[[Run], Step],
        claimed: OpenAttempt,
        first: str,
        second: str,
        outcome: tuple[object, object],
        status: str,
        holder: str | None,
    ) -> None:
        steps = {
            "conclude": conclude(claimed),
            "heartbeat": heartbeat(claimed),
            "recover": recover(run),
            "cancel": cancel(run),
        }
        assert await race(sessions, steps[first], steps[second]) == outcome
        assert (await read(sessions, run)).status == status
        attempt = await attempt_of(sessions, run)
        assert attempt.lease_owner == holder
        finished = ["verification.finished", f"run.{status}"]
        assert await ends(sessions, run) == ([] if status == "in_progress" else finished)

    async def test_attempt_that_cannot_be_recovered_keeps_no_other_from_it(
        self,
        session: AsyncSession,
        sessions: SessionFactory,
        engine: Any,
        task: Task,
        process: ProcessContext,
    ) -> None:
        """Regression: one row that failed rolled back all recoveries, at each sweep."""
        runs = [await make_verified_run(session, task=task) for _ in range(3)]
        await change(sessions, lease_owner=JOB, lease_expires_at=utcnow())
        async with refusing_some(engine, "verifications", f"NEW.run_id = '{runs[1].id}'"):
            await recover_runs(process)
        owners = [(await attempt_of(sessions, each)).lease_owner for each in runs]
        assert owners == [None, JOB, None]

    async def test_rerun_that_is_lost_before_its_first_note_says_why_it_is_inconclusive(
        self, session: AsyncSession, sessions: SessionFactory, task: Task, process: ProcessContext
    ) -> None:
        """Regression: it gave no reason."""
        run = await make_verified_run(session, task=task, verdict="verified")
        await perform(
            sessions, partial(verification_lifecycle.reopen, run_id=run.id, commit="c" * 40, base=None)
        )
        lapsed = {"lease_owner": JOB, "lease_expires_at": utcnow(), "losses": 2}
        await change(sessions, **lapsed)
        await recover_runs(process)
        verification = (await read(sessions, run)).verification
        assert verification is not None
        assert verification["verdict"] == "inconclusive"
        assert verification["reasons"] == [{"code": "check_error", "check": None, "detail": "worker"}]


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [("conclude", "cancel", (True, False)), ("cancel", "conclude", (True, False))],
)
async def test_rerun_and_cancel_at_once(
    session: AsyncSession,
    sessions: SessionFactory,
    task: Task,
    cancel: Callable[[Run], Step],
    first: str,
    second: str,
    outcome: tuple[object, object],
) -> None:
    run = await make_verified_run(session, task=task, verdict="verified")
    await perform(sessions, partial(verification_lifecycle.reopen, run_id=run.id, commit="c" * 40, base=None))
    claimed = await perform(sessions, claim)
    assert claimed is not None
    steps = {"conclude": conclude(claimed), "cancel": cancel(run)}
    assert await race(sessions, steps[first], steps[second]) == outcome
    ended = await read(sessions, run)
    assert ended.status == RunStatus.COMPLETED
    assert ended.verification is not None
    assert ended.verification["verdict"] == ("refuted" if first == "conclude" else "inconclusive")


class TestDelivery:
    @pytest.fixture
    async def held(self, workshop: Workshop, session: AsyncSession, task: Task) -> Claim:
        await make_run(session, task=task, dispatch_requested_at=utcnow())
        begin = partial(run_lifecycle.claim, owner=JOB, events=EVENTS)
        claimed = await perform(workshop.sessions, begin)
        assert claimed is not None
        return claimed

    @pytest.fixture
    def end(self, workshop: Workshop, held: Claim) -> Step:
        """End a run whose work is to be checked, as its worker does."""
        work = RunResult(
            structured=None,
            summary="Done.",
            head_branch="taskbeacon/tes-1",
            head_sha="c" * 40,
            base=WorkBase("main", "b" * 40),
            files_changed=["README.md"],
            patch=b"",
            definitions=unite((), file_fault="It is empty."),
        )
        report = RunReport(work=work, has_repository=True, stored=StoredFiles((ARTIFACT,)))
        return lambda _: end_run(workshop.context, held, report)

    async def test_run_that_was_cancelled_gets_what_its_agent_has_made(
        self, session: AsyncSession, workshop: Workshop, cancel: Callable[[Run], Step], held: Claim, end: Step
    ) -> None:
        """Regression: its files were listed nowhere."""
        run = await session.get_one(Run, held.run_id)
        await race(workshop.sessions, cancel(run), end)
        ended = await workshop.read(run)
        assert (ended.status, ended.artifacts, ended.verification) == (RunStatus.CANCELLED, [ARTIFACT], None)
        assert ended.output is not None
        assert ended.output["summary"] == "Done."

    async def test_delivery_that_comes_first_is_closed_by_the_cancel_and_brings_nothing_twice(
        self, session: AsyncSession, workshop: Workshop, cancel: Callable[[Run], Step], held: Claim, end: Step
    ) -> None:
        run = await session.get_one(Run, held.run_id)
        await perform(workshop.sessions, end)
        await perform(workshop.sessions, cancel(run))
        await perform(workshop.sessions, end)
        ended = await workshop.read(run)
        assert (ended.status, ended.artifacts) == (RunStatus.CANCELLED, [ARTIFACT])
        assert await ends(workshop.sessions, run) == ["verification.finished", "run.cancelled"]


class TestRepairs:
    @pytest.mark.parametrize(
        ("first", "second", "outcome", "status", "stopped"),
        [
            ("cancel", "stop", (True, False), "cancelled", "cancelled"),
            ("stop", "cancel", (True, False), "completed", "agent"),
            ("recover", "stop", (None, False), "completed", "agent"),
            ("stop", "recover", (True, None), "completed", "agent"),
            ("cancel", "recover", (True, None), "cancelled", "cancelled"),
            ("recover", "cancel", (None, False), "completed", "agent"),
            ("recover", "recover", (None, None), "completed", "agent"),
            ("recover", "heartbeat", (None, False), "completed", "agent"),
            ("heartbeat", "recover", (True, None), "in_progress", None),
            # Of a job that had lost the run before.
            ("lost stop", "stop", (False, True), "completed", "agent"),
            ("lost stop", "cancel", (False, True), "cancelled", "cancelled"),
        ],
    )
    async def test_of_two_steps_at_once(
        self,
        sessions: SessionFactory,
        repaired: Run,
        cancel: Callable[[Run], Step],
        first: str,
        second: str,
        outcome: tuple[object, object],
        status: str,
        stopped: str | None,
    ) -> None:
        def stop(owner: str) -> Step:
            ending = partial(
                verification_lifecycle.stop_repair, run_id=repaired.id, stopped="agent", events=EVENTS
            )
            return partial(ending, owner=owner)

        steps: dict[str, Step] = {
            "cancel": cancel(repaired),
            "stop": stop(JOB),
            "lost stop": stop(OTHER),
            "recover": lambda session: verification_lifecycle.end_lost_repairs(
                session, [repaired.id], events=EVENTS
            ),
            "heartbeat": partial(run_lifecycle.extend_lease, run_id=repaired.id, owner=JOB),
        }
        assert await race(sessions, steps[first], steps[second]) == outcome
        ended = await read(sessions, repaired)
        assert ended.verification is not None
        assert (ended.status, ended.verification["stopped"]) == (status, stopped)
        finished = ["verification.finished", f"run.{status}"]
        assert await ends(sessions, repaired) == ([] if status == "in_progress" else finished)

    @pytest.mark.parametrize("is_repair", [False, True])
    async def test_cancel_leaves_the_figures_of_what_was_delivered(
        self,
        session: AsyncSession,
        sessions: SessionFactory,
        run: Run,
        repaired: Run,
        cancel: Callable[[Run], Step],
        is_repair: bool,
    ) -> None:
        """Regression: those of the workspace stayed, which an unfinished repair had changed."""
        delivery = update(Verification).values(
            delivery=Verification.delivery.op("||")({"state": {CHANGES: {"files": 1}}})
        )
        await session.execute(delivery)
        await session.execute(update(Run).values(facts=with_fact(CHANGES, {"files": 9})))
        cancelled = repaired if is_repair else run
        assert await perform(sessions, cancel(cancelled)) is True
        assert (await read(sessions, cancelled)).facts[CHANGES] == {"files": 1}

    async def test_worker_of_a_cancelled_repair_leaves_what_was_delivered(
        self, sessions: SessionFactory, repaired: Run, cancel: Callable[[Run], Step]
    ) -> None:
        """Regression: its state and files took the place of those that the last verdict is about."""
        await perform(sessions, cancel(repaired))
        before = await read(sessions, repaired)
        state = {"head_sha": "d" * 40, CHANGES: {"files": 9}}
        end = RunEnd(status=RunStatus.CANCELLED, state=state, artifacts=[ARTIFACT])
        late = partial(run_lifecycle.finish, run_id=repaired.id, end=end, owner=JOB, events=EVENTS)

        assert await perform(sessions, late) is False

        after = await read(sessions, repaired)
        assert (after.state, after.facts, after.artifacts) == (before.state, before.facts, before.artifacts)


REPORT = CiReport(
    repository="acme/shop",
    branch="taskbeacon/tes-1",
    head_sha=COMMIT,
    subject="check_suite:1",
    name="CI",
    version=(1, 1, ""),
    conclusion="success",
    url=None,
)


def report_ci(session: AsyncSession) -> Awaitable[None]:
    return fold_ci(session, REPORT, events=EVENTS)


async def test_report_of_ci_waits_for_a_run_that_moves_and_for_its_task(
    session: AsyncSession, sessions: SessionFactory, task: Task, cancel: Callable[[Run], Step]
) -> None:
    """Regression: a deadlock. The report had changed the task, for one run of the branch, and waited for the next."""
    earlier = await make_verified_run(session, task=task, verdict="verified")
    latest = await make_verified_run(session, task=task)
    async with unit_of_work(sessions) as moving:
        await moving.execute(select(Run.id).where(Run.id == latest.id).with_for_update(key_share=True))
        reporting = asyncio.create_task(perform(sessions, report_ci))
        await eventually(partial(count_waiting, sessions))
        assert await cancel(latest)(moving)

    await reporting
    for run in (earlier, latest):
        shown_now = (await read(sessions, run)).verification
        assert shown_now is not None
        assert shown_now["ci"] is not None


async def test_report_of_ci_locks_tasks_in_the_order_of_their_ids(
    session: AsyncSession, sessions: SessionFactory, project: Project, task: Task
) -> None:
    """Regression: a deadlock. It locked tasks in the order of their runs: two reports could each wait for the other."""
    other = await make_task(session, project=project, created_by=None)
    first, second = sorted((task, other), key=lambda each: each.id)
    for each in (second, first):
        await make_verified_run(session, task=each, verdict="verified")
    async with unit_of_work(sessions) as moving:
        await moving.execute(update(Task).where(Task.id == first.id).values(title="It has moved"))
        reporting = asyncio.create_task(perform(sessions, report_ci))
        await eventually(partial(count_waiting, sessions))
        await moving.execute(update(Task).where(Task.id == second.id).values(title="It has moved"))

    await reporting
    shown_ci = select(Run.verification["ci"]["state"].astext)
    assert set(await session.scalars(shown_ci)) == {"success"}
