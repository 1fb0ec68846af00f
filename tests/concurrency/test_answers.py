"""Two devices answer one question: one of them wins, and its agent hears one answer (contract 15.2)."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.errors import AlreadyAnswered
from app.models import Question, RunCommand, Task
from app.runtime import ProcessContext
from app.schemas.questions import AnswerIn
from app.services.access.principal import Principal
from app.services.inbox.answer_acceptance import answer_question
from tests.concurrency.races import race
from tests.support.factories import make_project, make_task, make_user
from tests.support.principals import member_of
from tests.support.questions import make_live_run, make_question

_ROUNDS = 50


@pytest.fixture
async def callers(session: AsyncSession) -> tuple[Task, list[Principal]]:
    """A task of a person with two devices."""
    project = await make_project(session)
    user = await make_user(session, projects=[project])
    caller = member_of(project, user)
    return await make_task(session, project=project, created_by=user), [caller, caller]


async def answer(
    sessions: SessionFactory, caller: Principal, question: Question, option_id: str, process: ProcessContext
) -> Any:
    try:
        async with unit_of_work(sessions) as session:
            return await answer_question(session, caller, question.id, AnswerIn(option_id=option_id), process)
    except AlreadyAnswered as error:
        return error


async def test_two_answers_at_once_many_times(
    session: AsyncSession,
    sessions: SessionFactory,
    process: ProcessContext,
    callers: tuple[Task, list[Principal]],
) -> None:
    """Each time one answer counts, the other caller gets the winner, and there is one command."""
    task, people = callers
    run = await make_live_run(session, task=task)
    for _ in range(_ROUNDS):
        question = await make_question(session, task=task, run=run)
        outcomes = await asyncio.gather(
            *(
                answer(sessions, person, question, option, process)
                for person, option in zip(people, ("allow", "reject"), strict=True)
            )
        )
        [winner] = [outcome for outcome in outcomes if isinstance(outcome, dict)]
        [loser] = [outcome for outcome in outcomes if isinstance(outcome, AlreadyAnswered)]
        assert loser.body["extra"]["answer"] == winner["answer"]
        carried = select(RunCommand.params).where(
            RunCommand.params["request_id"].astext == question.request_id
        )
        sent = (await session.scalars(carried)).all()
        assert [params["option_id"] for params in sent] == [winner["answer"]["option_id"]]


async def test_answer_that_waits_for_another_gets_that_one(
    session: AsyncSession,
    sessions: SessionFactory,
    process: ProcessContext,
    callers: tuple[Task, list[Principal]],
) -> None:
    """The second one finds the question open, and waits for the lock that the first one holds."""
    task, (first, second) = callers
    question = await make_question(session, task=task)

    async def win(unit: AsyncSession) -> Any:
        return await answer_question(unit, first, question.id, AnswerIn(option_id="allow"), process)

    async def lose(unit: AsyncSession) -> Any:
        with pytest.raises(AlreadyAnswered) as refused:
            await answer_question(unit, second, question.id, AnswerIn(option_id="reject"), process)
        return refused.value.body["extra"]

    won, late = await race(sessions, win, lose)
    assert late["answer"] == won["answer"] == {"option_id": "allow"}
    assert len((await session.execute(select(RunCommand.id))).all()) == 1


async def test_same_answer_that_waits_is_repeated(
    session: AsyncSession,
    sessions: SessionFactory,
    process: ProcessContext,
    callers: tuple[Task, list[Principal]],
) -> None:
    task, (first, second) = callers
    question = await make_question(session, task=task)
    won, again = await race(
        sessions,
        lambda unit: answer_question(unit, first, question.id, AnswerIn(option_id="allow"), process),
        lambda unit: answer_question(unit, second, question.id, AnswerIn(option_id="allow"), process),
    )
    assert again == {**won, "repeated": True}
