"""Races about commands: the answer that counts, and the message that comes with the end of the agent."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.dialogue.agent_reports import AgentMessage, MessageOutcome
from app.dialogue.shown_questions import ShownQuestion
from app.enums import (
    AnswerVia,
    CommandStatus,
    NotificationDecision,
    QuestionKind,
    QuestionStatus,
    RunStatus,
    Urgency,
)
from app.errors import StateRefused
from app.models import Question, Run, RunCommand, Task, User
from app.runtime import ProcessContext
from app.schemas.runs.commands import CommandIn
from app.services.access.principal import Principal
from app.services.runs import command_delivery, run_lifecycle
from app.services.runs.command_acceptance import send_command
from app.services.runs.command_delivery import StepResult
from tests.concurrency.races import perform, race
from tests.support.devices import make_device, notifications_of
from tests.support.factories import make_project, make_run, make_task, make_user
from tests.support.principals import member_of
from tests.support.stand_ins.fakes import RecordingEvents

Step = Callable[[AsyncSession], Awaitable[Any]]

OWNER = "job"
_ROUNDS = 50
OPTIONS = [
    {"optionId": "yes", "name": "Yes", "kind": "allow_once"},
    {"optionId": "no", "name": "No", "kind": "reject_once"},
]


class Scene:
    """A run with a live agent, and someone who sends it commands."""

    def __init__(self, run: Run, asked: ShownQuestion, caller: Principal, clients: ProcessContext) -> None:
        self.run = run
        self.asked = asked
        self._caller = caller
        self._clients = clients

    def send(self, method: str, **params: Any) -> Step:
        """Return the step that sends a command; a refusal is its outcome."""
        body = CommandIn.model_validate({"jsonrpc": "2.0", "method": method, "params": params})

        async def step(session: AsyncSession) -> Any:
            try:
                return await send_command(
                    session, self._caller, self.run.task_id, self.run.id, body, self._clients
                )
            except StateRefused as refused:
                return refused.body

        return step

    def answer(self, option: str) -> Step:
        return self.send("permission_response", requestId=self.asked.request_id, optionId=option)

    async def give_up(self, session: AsyncSession) -> bool:
        return await command_delivery.stop_waiting(session, self.run.id, self.asked.request_id, owner=OWNER)

    async def end_agent(self, session: AsyncSession) -> StepResult:
        return await command_delivery.end_agent(session, self.run.id, owner=OWNER, seen=0, reason="It ended.")


@pytest.fixture
async def scene(sessions: SessionFactory, process: ProcessContext) -> Scene:
    async with unit_of_work(sessions) as session:
        project = await make_project(session)
        owner = await make_user(session, projects=[project])
        task = await make_task(session, project=project, created_by=owner)
        run = await make_run(
            session,
            task=task,
            status=RunStatus.IN_PROGRESS,
            lease_owner=OWNER,
            # Longer than the slowest of these tests takes on a busy machine.
            lease_expires_at=utcnow() + timedelta(hours=1),
        )
        asked = ShownQuestion(kind=QuestionKind.PERMISSION, options=OPTIONS)
        await command_delivery.start_waiting(session, run.id, asked, owner=OWNER, seen=None)
    caller = member_of(project, owner)
    return Scene(run, asked, caller, process)


async def commands(sessions: SessionFactory) -> list[tuple[str, str | None]]:
    async with unit_of_work(sessions) as session:
        rows = await session.execute(
            select(RunCommand.status, RunCommand.reason).order_by(RunCommand.position)
        )
        return [(row.status, row.reason) for row in rows]


async def test_of_two_answers_the_first_counts(sessions: SessionFactory, scene: Scene) -> None:
    first, second = await race(sessions, scene.answer("yes"), scene.answer("no"))

    assert first["result"] == {"resolved": True}
    assert second["error"]["code"] == -32602
    async with unit_of_work(sessions) as session:
        [row] = (await session.scalars(select(RunCommand))).all()
        state = (await session.get_one(Run, scene.run.id)).state
        question = await session.get_one(Question, scene.asked.id)
    assert (row.params["option_id"], state) == ("yes", {"mode": "background"})
    assert (question.status, question.answer, question.command_id) == (
        QuestionStatus.ANSWERED,
        {"option_id": "yes"},
        row.id,
    )
    assert (question.answered_via, question.answered_by_id) == (AnswerVia.API, row.user_id)


async def test_of_answers_at_once_one_counts_each_time(sessions: SessionFactory, scene: Scene) -> None:
    for _ in range(_ROUNDS):
        asked = scene.asked = ShownQuestion(kind=QuestionKind.PERMISSION, options=OPTIONS)
        async with unit_of_work(sessions) as session:
            await command_delivery.start_waiting(session, scene.run.id, asked, owner=OWNER, seen=None)

        answers = await asyncio.gather(*(perform(sessions, scene.answer(option)) for option in ("yes", "no")))

        [won] = [index for index, answer in enumerate(answers) if "result" in answer]
        assert answers[1 - won]["error"]["code"] == -32602
        async with unit_of_work(sessions) as session:
            question = await session.get_one(Question, asked.id)
            command = (await session.scalars(select(RunCommand).order_by(RunCommand.position.desc()))).first()
            assert command is not None
            assert (
                question.answer
                == {"option_id": command.params["option_id"]}
                == {"option_id": ("yes", "no")[won]}
            )
            assert question.command_id == command.id
            # What waits for an agent is bounded.
            await session.execute(
                update(RunCommand).values(status=CommandStatus.CONSUMED, settled_at=utcnow())
            )
    async with unit_of_work(sessions) as session:
        assert await session.scalar(select(func.count()).select_from(RunCommand)) == _ROUNDS


async def test_answer_behind_the_worker_that_gave_up_finds_nothing(
    sessions: SessionFactory, scene: Scene
) -> None:
    gave_up, answered = await race(sessions, scene.give_up, scene.answer("yes"))

    assert gave_up
    assert "error" in answered


async def test_worker_that_gives_up_behind_an_answer_learns_of_it(
    sessions: SessionFactory, scene: Scene
) -> None:
    answered, gave_up = await race(sessions, scene.answer("yes"), scene.give_up)

    assert "result" in answered
    assert not gave_up


async def test_message_before_the_end_of_the_agent_holds_it_up(
    sessions: SessionFactory, scene: Scene
) -> None:
    sent, ended = await race(sessions, scene.send("user_message", content="wait"), scene.end_agent)

    assert "result" in sent
    assert ended is StepResult.NEWS
    assert await commands(sessions) == [("accepted", None)]


async def test_message_behind_the_end_of_the_agent_is_refused(sessions: SessionFactory, scene: Scene) -> None:
    ended, sent = await race(sessions, scene.end_agent, scene.send("user_message", content="wait"))

    assert ended is StepResult.DONE
    assert sent == {"error": "No active sandbox for this task run"}
    assert await commands(sessions) == []


async def test_message_of_an_agent_is_decided_once_if_its_commit_is_not_acknowledged(
    sessions: SessionFactory, session: AsyncSession, scene: Scene
) -> None:
    """Regression: the repetition found the cooldown of the first try, and the agent got "throttled"."""
    run = await session.get_one(Run, scene.run.id)
    task = await session.get_one(Task, run.task_id)
    owner = await session.get_one(User, task.created_by_id)
    for _ in range(2):
        await make_device(session, user=owner)
    message = AgentMessage(title="Half way", message="Tests pass.", urgency=Urgency.LOW)

    async def decide(own: AsyncSession) -> MessageOutcome | None:
        return await command_delivery.notify_user(own, run.id, message, owner=OWNER)

    outcomes = await race(sessions, decide, decide)

    assert set(outcomes) == {MessageOutcome(NotificationDecision.PENDING, None, 2)}
    rows = [row for row in await notifications_of(sessions, task) if row.title]
    assert [row.decision for row in rows] == ["pending"] * 2


async def test_worker_that_lost_the_run_settles_nothing(sessions: SessionFactory, scene: Scene) -> None:
    async with unit_of_work(sessions) as session:
        await scene.send("user_message", content="wait")(session)
    async with unit_of_work(sessions) as session:
        command_id = (await session.scalars(select(RunCommand.id))).one()
        settled = await command_delivery.settle(
            session, scene.run.id, command_id, CommandStatus.DELIVERED, owner="another"
        )
        ended = await command_delivery.end_agent(
            session, scene.run.id, owner="another", seen=None, reason="x"
        )
    assert (settled, ended) == (False, StepResult.LOST)
    assert await commands(sessions) == [("accepted", None)]


async def test_command_that_is_delivered_while_the_run_is_restarted_goes_to_the_next_agent(
    sessions: SessionFactory, scene: Scene
) -> None:
    """Regression: it stayed `delivered` to the agent that the restart had replaced."""
    await perform(sessions, scene.send("user_message", content="wait"))
    async with unit_of_work(sessions) as session:
        command_id = (await session.scalars(select(RunCommand.id))).one()

    async def restart(session: AsyncSession) -> bool:
        await session.get_one(Run, scene.run.id, with_for_update=True)
        return await run_lifecycle.set_status(
            session, scene.run.id, RunStatus.QUEUED, events=RecordingEvents()
        )

    async def deliver(session: AsyncSession) -> bool:
        return await command_delivery.settle(
            session, scene.run.id, command_id, CommandStatus.DELIVERED, owner=OWNER
        )

    assert await race(sessions, restart, deliver) == (True, False)
    assert await commands(sessions) == [("accepted", None)]
