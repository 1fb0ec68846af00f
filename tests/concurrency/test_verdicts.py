"""Two transactions about the work of one run that is not verified: runs are locked before tasks (contract 15.14)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import CheckStatus, OnUnverified, QuestionStatus, RunStatus, Verdict
from app.errors import AlreadyAnswered, QuestionChanged, QuestionClosed
from app.models import Project, Question, Run, Task, User, Verification
from app.runtime import ProcessContext
from app.schemas.questions import AnswerIn
from app.schemas.runs.run import RunIn
from app.schemas.runs.verifications import WaiveIn
from app.schemas.tasks import BatchAction, BatchIn
from app.services.access.principal import Principal
from app.services.inbox.answer_acceptance import answer_question
from app.services.questions import verdict_questions
from app.services.runs.new_runs import start_cloud_run
from app.services.runs.run_authority import lock_run
from app.services.runs.verification_attempts import verification_lifecycle, verification_requests
from app.services.tasks.batches import change_tasks
from app.verdicts.definitions import store_definitions, unite
from tests.concurrency.races import count_waiting, perform, race
from tests.support.factories import make_task
from tests.support.principals import member_of
from tests.support.stand_ins.fakes import RecordingEvents
from tests.support.verification import end_checked, make_verified_run, shown_verdict
from tests.support.waiting import eventually

Step = Callable[[AsyncSession], Awaitable[Any]]

REFUTED = shown_verdict(Verdict.REFUTED, CheckStatus.FAILED)
INCONCLUSIVE = shown_verdict(Verdict.INCONCLUSIVE, CheckStatus.TIMEOUT)
SEND_BACK = AnswerIn(option_id="send_back")
WAIVE = AnswerIn(option_id="waive", custom_input="It is wrong.")


@pytest.fixture
async def task(session: AsyncSession, project: Project, owner: User) -> Task:
    return await make_task(session, project=project, created_by=owner)


@pytest.fixture
async def run(session: AsyncSession, task: Task) -> Run:
    """A run that waits for its verdict."""
    return await make_verified_run(session, task=task)


@pytest.fixture
def caller(project: Project, owner: User) -> Principal:
    return member_of(project, owner)


@pytest.fixture
def conclude_of(sessions: SessionFactory) -> Callable[[Run], Step]:
    """End a run as refuted."""

    def conclude_of(run: Run) -> Step:
        async def conclude(session: AsyncSession) -> bool:
            async with unit_of_work(sessions) as claiming:
                claimed = await verification_lifecycle.claim(claiming, owner="job")
            assert claimed is not None
            assert claimed.run_id == run.id
            conclusion = verification_lifecycle.Conclusion(shown=REFUTED)
            return await verification_lifecycle.conclude(
                session, claimed, conclusion, events=RecordingEvents()
            )

        return conclude

    return conclude_of


@pytest.fixture
def conclude(conclude_of: Callable[[Run], Step], run: Run) -> Step:
    return conclude_of(run)


@pytest.fixture
async def question(session: AsyncSession, sessions: SessionFactory, run: Run) -> Question:
    """The question about the run, which has ended as refuted."""
    await end_checked(sessions, run, REFUTED)
    return (await session.scalars(select(Question))).one()


@pytest.fixture
def answer(process: ProcessContext, caller: Principal, question: Question) -> Callable[[AnswerIn], Step]:
    def answer(body: AnswerIn) -> Step:
        return lambda session: answer_question(session, caller, question.id, body, process)

    return answer


@pytest.fixture
def start(process: ProcessContext, caller: Principal, task: Task) -> Step:
    return lambda session: start_cloud_run(session, caller, task.id, RunIn(), process)


@pytest.fixture
def put_away(caller: Principal, task: Task) -> dict[str, Step]:
    """Archive or delete the task."""

    def by(action: BatchAction) -> Step:
        return lambda session: change_tasks(session, caller, BatchIn(action=action, ids=[task.id]))

    return {action.value: by(action) for action in (BatchAction.ARCHIVE, BatchAction.DELETE)}


async def refused(step: Awaitable[Any], error: type[Exception]) -> bool:
    with pytest.raises(error):
        await step
    return True


async def status_of(session: AsyncSession) -> list[str]:
    return list(await session.scalars(select(Question.status)))


async def runs_of(session: AsyncSession) -> int | None:
    return await session.scalar(select(func.count()).select_from(Run))


@pytest.mark.parametrize(("first", "second"), [(SEND_BACK, WAIVE), (WAIVE, SEND_BACK)])
async def test_of_two_answers_the_first_counts(
    session: AsyncSession,
    sessions: SessionFactory,
    answer: Callable[[AnswerIn], Step],
    first: AnswerIn,
    second: AnswerIn,
) -> None:
    won, _ = await race(sessions, answer(first), lambda unit: refused(answer(second)(unit), AlreadyAnswered))
    assert won["answer"]["option_id"] == first.option_id
    assert await status_of(session) == [QuestionStatus.ANSWERED]
    assert await runs_of(session) == (2 if first is SEND_BACK else 1)


async def test_work_is_sent_back_once(
    session: AsyncSession, sessions: SessionFactory, answer: Callable[[AnswerIn], Step]
) -> None:
    won, again = await race(sessions, answer(SEND_BACK), answer(SEND_BACK))
    assert again == {**won, "repeated": True}
    assert await runs_of(session) == 2


async def test_answer_to_a_verdict_that_changes_meanwhile_is_refused(
    session: AsyncSession,
    sessions: SessionFactory,
    caller: Principal,
    task: Task,
    run: Run,
    question: Question,
    answer: Callable[[AnswerIn], Step],
) -> None:
    """Regression: the digest was compared before the run was locked, so work was waived for a verdict not seen."""

    async def renew(unit: AsyncSession) -> None:
        await lock_run(unit, caller, task.id, run.id)
        await verdict_questions.renew(unit, run.id, INCONCLUSIVE)

    seen = WAIVE.model_copy(update={"digest": question.digest.hex()})
    await race(sessions, renew, lambda unit: refused(answer(seen)(unit), QuestionChanged))
    assert await status_of(session) == [QuestionStatus.OPEN]


async def test_newer_run_comes_before_an_answer_or_after_it(
    session: AsyncSession, sessions: SessionFactory, answer: Callable[[AnswerIn], Step], start: Step
) -> None:
    _, started = await race(sessions, answer(WAIVE), start)
    assert started["latest_run"] is not None
    assert await status_of(session) == [QuestionStatus.ANSWERED]


async def test_answer_after_a_newer_run_is_too_late(
    session: AsyncSession, sessions: SessionFactory, answer: Callable[[AnswerIn], Step], start: Step
) -> None:
    await race(sessions, start, lambda unit: refused(answer(SEND_BACK)(unit), QuestionClosed))
    assert await status_of(session) == [QuestionStatus.WITHDRAWN]
    assert await runs_of(session) == 2


async def test_newer_run_waits_for_a_run_that_moves_and_for_its_task(
    session: AsyncSession, sessions: SessionFactory, task: Task, run: Run, question: Question, start: Step
) -> None:
    """Both lock the run first: neither ends in a deadlock."""
    async with unit_of_work(sessions) as moving:
        await moving.execute(select(Run.id).where(Run.id == run.id).with_for_update(key_share=True))
        starting = asyncio.create_task(perform(sessions, start))
        await eventually(partial(count_waiting, sessions))
        await moving.execute(update(Task).where(Task.id == task.id).values(title="It has moved"))

    await starting
    await session.refresh(question)
    assert question.status == QuestionStatus.WITHDRAWN


@pytest.mark.parametrize("way", ["start", "archive", "delete"])
async def test_run_that_ends_meanwhile_leaves_no_question(
    session: AsyncSession,
    sessions: SessionFactory,
    conclude: Step,
    start: Step,
    put_away: dict[str, Step],
    way: str,
) -> None:
    await race(sessions, conclude, {"start": start, **put_away}[way])
    assert await status_of(session) == [QuestionStatus.WITHDRAWN]


@pytest.mark.parametrize("way", ["start", "archive", "delete"])
async def test_run_that_ends_just_after_asks_nothing(
    session: AsyncSession,
    sessions: SessionFactory,
    conclude: Step,
    start: Step,
    put_away: dict[str, Step],
    way: str,
) -> None:
    await race(sessions, {"start": start, **put_away}[way], conclude)
    assert await status_of(session) == []


@pytest.mark.usefixtures("question")
class TestWaiverOfAnEarlierRun:
    """A run that explains refuted work delivers its commit again."""

    @pytest.fixture
    async def explaining(self, session: AsyncSession, task: Task) -> Run:
        """A run of the same commit that waits for its verdict; unverified work fails it."""
        run = await make_verified_run(session, task=task)
        failing = store_definitions(replace(unite(()), on_unverified=OnUnverified.FAIL))
        await session.execute(
            update(Verification).where(Verification.run_id == run.id).values(definitions=failing)
        )
        return run

    @pytest.fixture
    def waive(self, caller: Principal, task: Task, run: Run) -> Step:
        body = WaiveIn(reason="It is wrong.")
        return lambda session: verification_requests.waive(session, caller, task.id, run.id, body)

    @pytest.fixture
    def conclude(self, conclude_of: Callable[[Run], Step], explaining: Run) -> Step:
        return conclude_of(explaining)

    async def test_holds_for_the_same_work(
        self, session: AsyncSession, sessions: SessionFactory, waive: Step, conclude: Step, explaining: Run
    ) -> None:
        """Regression: the work that a member had accepted was refuted again, and its question opened again."""
        waived = await perform(sessions, waive)
        await perform(sessions, conclude)
        await session.refresh(explaining)
        shown = explaining.verification
        assert shown is not None
        assert (shown["verdict"], shown["waived"], shown["waivers"]) == ("refuted", True, waived["waivers"])
        assert explaining.status == RunStatus.COMPLETED
        assert await status_of(session) == [QuestionStatus.WITHDRAWN]

    async def test_does_not_hold_for_other_work(
        self, session: AsyncSession, sessions: SessionFactory, waive: Step, conclude: Step, explaining: Run
    ) -> None:
        other = update(Verification).where(Verification.run_id == explaining.id).values(commit="d" * 40)
        await session.execute(other)
        await perform(sessions, waive)
        await perform(sessions, conclude)
        assert await is_waived(session, explaining) is False

    @pytest.mark.parametrize("is_first", [True, False])
    async def test_holds_for_a_verdict_that_comes_later(
        self,
        session: AsyncSession,
        sessions: SessionFactory,
        waive: Step,
        conclude: Step,
        run: Run,
        explaining: Run,
        is_first: bool,
    ) -> None:
        steps = (waive, conclude) if is_first else (conclude, waive)
        await race(sessions, *steps)
        assert (await is_waived(session, run), await is_waived(session, explaining)) == (True, is_first)


async def is_waived(session: AsyncSession, run: Run) -> bool:
    await session.refresh(run)
    assert run.verification is not None
    waived: bool = run.verification["waived"]
    return waived
