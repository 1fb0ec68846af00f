"""Questions as rows: how they open, how each ends, and what they may cost (contract 15)."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.agents.session.agent_questions import describe
from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.dialogue.shown_questions import DETAIL_CHARACTERS, ShownQuestion
from app.enums import AnswerVia, CommandMethod, EventType, QuestionKind, QuestionStatus, RunStatus, Urgency
from app.ids import new_id
from app.models import Event, Project, Question, Run, RunCommand, Task, User
from app.services.questions.answer_validation import Answer, Origin
from app.services.questions.question_lifecycle import close_question, withdraw
from app.services.runs import command_delivery, run_lifecycle
from app.services.runs.command_delivery import StepResult
from tests.support import runs
from tests.support.clock import MovableClock
from tests.support.database.queries import recorded
from tests.support.factories import make_run
from tests.support.principals import member_of
from tests.support.stand_ins.fakes import RecordingEvents

OWNER = "worker"
OPTIONS = [
    {"optionId": "yes", "name": "Yes", "kind": "allow_once"},
    {"optionId": "no", "name": "No", "kind": "reject_once"},
]


@pytest.fixture
async def live(session: AsyncSession, task: Task, clock: MovableClock) -> Run:
    """A run with an agent that is at work in some worker."""
    return await make_run(
        session,
        task=task,
        status=RunStatus.IN_PROGRESS,
        lease_owner=OWNER,
        lease_expires_at=clock.now + timedelta(seconds=60),
    )


def permission(**fields: Any) -> ShownQuestion:
    return ShownQuestion(kind=QuestionKind.PERMISSION, options=OPTIONS, **fields)


async def ask(sessions: SessionFactory, run: Run, asked: ShownQuestion) -> ShownQuestion:
    async with unit_of_work(sessions) as own:
        result = await command_delivery.start_waiting(own, run.id, asked, owner=OWNER, seen=None)
    assert result is StepResult.DONE
    return asked


async def row_of(sessions: SessionFactory, asked: ShownQuestion) -> Question:
    async with unit_of_work(sessions) as own:
        return await own.get_one(Question, asked.id)


async def waiting_for(sessions: SessionFactory, run: Run) -> Any:
    async with unit_of_work(sessions) as own:
        return await own.scalar(select(Run.facts["waiting_for"]).where(Run.id == run.id))


async def events_of(sessions: SessionFactory) -> list[tuple[str, str]]:
    """Return the type and the question of each event about questions."""
    async with unit_of_work(sessions) as own:
        rows = await own.execute(
            select(Event.type, Event.data).where(Event.type.like("question.%")).order_by(Event.subject_seq)
        )
        return [(row.type, row.data["question_id"]) for row in rows]


async def test_question_is_kept_as_it_was_asked(sessions: SessionFactory, live: Run, task: Task) -> None:
    call = {"toolCallId": "t", "kind": "execute", "rawInput": {"command": "make"}, "content": ["x" * 20_000]}
    asked = await ask(
        sessions,
        live,
        permission(
            title="t" * 300,
            detail="d" * DETAIL_CHARACTERS,
            tool_call=call,
            expires_at=utcnow() + timedelta(hours=1),
        ),
    )

    row = await row_of(sessions, asked)

    assert (row.project_id, row.task_id, row.run_id) == (task.project_id, task.id, live.id)
    assert (row.request_id, row.id.hex) == (asked.request_id, asked.request_id)
    assert (row.kind, row.status, row.risk, row.urgency) == ("permission", "open", "normal", "normal")
    assert (row.title, row.detail) == ("t" * 200, "d" * DETAIL_CHARACTERS)
    # Too long for the state of a run; the log has it.
    assert row.tool_call == {"toolCallId": "t", "kind": "execute"}
    assert row.options == [
        {"id": "yes", "name": "Yes", "kind": "allow_once"},
        {"id": "no", "name": "No", "kind": "reject_once"},
    ]
    assert (row.opened_at, row.expires_at) == (asked.opened_at, asked.expires_at)
    assert (row.answer, row.answered_via, row.closed_at) == (None, None, None)
    assert await waiting_for(sessions, live) == asked.waiting_for
    assert await events_of(sessions) == [("question.opened", str(asked.id))]


async def test_detail_that_is_cut_says_so_and_is_of_high_risk(sessions: SessionFactory, live: Run) -> None:
    """Nothing is approved by a button of which the end is not to be seen."""
    call = {"kind": "execute", "rawInput": {"command": "echo hi;" + "#" * 5000 + "\ncurl x -d @x"}}
    row = await row_of(sessions, await ask(sessions, live, permission(detail=describe(call), tool_call=call)))
    assert (row.risk, row.urgency, len(row.detail)) == ("high", "high", DETAIL_CHARACTERS)
    assert row.detail.endswith("#\n⟨cut: it has 5021 characters⟩")


async def test_digest_is_of_the_whole_call_that_is_asked_about(sessions: SessionFactory, live: Run) -> None:
    """Two calls that look the same when they are shortened must not share a digest."""
    id_, content = new_id(), "x" * 20_000
    calls = [{"toolCallId": "t", "rawInput": {"command": f"{content}{end}"}} for end in "ab"]
    digests = []
    for call in calls:
        asked = await ask(sessions, live, permission(id=id_, tool_call=call))
        digests.append((await row_of(sessions, asked)).digest)
        async with unit_of_work(sessions) as own:
            await own.delete(await own.get_one(Question, asked.id))
    assert len(digests[0]) == 32
    assert digests[0] != digests[1]


async def test_repeated_opening_adds_nothing(sessions: SessionFactory, live: Run) -> None:
    asked = await ask(sessions, live, permission())
    async with unit_of_work(sessions) as own:
        await command_delivery.stop_waiting(own, live.id, asked.request_id, owner=OWNER)
    # The worker did not hear that its first try was committed.
    await ask(sessions, live, asked)
    assert (await row_of(sessions, asked)).status == QuestionStatus.WITHDRAWN
    assert await waiting_for(sessions, live) is None
    assert len(await events_of(sessions)) == 2


async def test_state_shows_the_newest_question_that_is_open(sessions: SessionFactory, live: Run) -> None:
    older = await ask(sessions, live, ShownQuestion(kind=QuestionKind.MESSAGE))
    newer = await ask(sessions, live, permission(opened_at=older.opened_at + timedelta(seconds=1)))
    assert await waiting_for(sessions, live) == newer.waiting_for
    async with unit_of_work(sessions) as own:
        assert await command_delivery.stop_waiting(own, live.id, newer.request_id, owner=OWNER)
    assert await waiting_for(sessions, live) == older.waiting_for


async def test_first_answer_closes_and_others_change_nothing(
    sessions: SessionFactory, live: Run, project: Project, owner: User
) -> None:
    asked = await ask(sessions, live, permission())
    origin = Origin(member_of(project, owner), AnswerVia.CONSOLE, rpc_id=None)
    results = []
    for option in ("yes", "no"):
        answer = Answer(
            CommandMethod.PERMISSION_RESPONSE, {"request_id": asked.request_id, "option_id": option}
        )
        async with unit_of_work(sessions) as own:
            closed = await close_question(own, asked.id, answer, origin)
            results.append(None if closed is None else (closed.answer, closed.creator and closed.creator.id))
    row = await row_of(sessions, asked)
    assert results == [({"option_id": "yes"}, owner.id), None]
    assert (row.status, row.answer, row.answered_via) == ("answered", {"option_id": "yes"}, "console")
    async with unit_of_work(sessions) as own:
        [command] = await own.scalars(select(RunCommand))
        assert (command.id, command.params["option_id"], command.rpc_id) == (row.command_id, "yes", None)
        [event] = await own.scalars(select(Event).where(Event.type == EventType.QUESTION_ANSWERED))
    assert event.data == {
        "question_id": str(asked.id),
        "kind": "permission",
        "urgency": "normal",
        "via": "console",
        "option_kind": "allow_once",
    }


@pytest.mark.parametrize(("after", "status"), [(0, "withdrawn"), (60, "expired")])
async def test_question_closed_behind_its_time_has_expired(
    sessions: SessionFactory, live: Run, clock: MovableClock, after: int, status: str
) -> None:
    asked = await ask(sessions, live, permission(expires_at=clock.now + timedelta(seconds=60)))
    clock.advance(seconds=after)
    async with unit_of_work(sessions) as own:
        assert await command_delivery.stop_waiting(own, live.id, asked.request_id, owner=OWNER)
    row = await row_of(sessions, asked)
    assert (row.status, row.closed_at) == (status, clock.now)
    assert await waiting_for(sessions, live) is None
    async with unit_of_work(sessions) as own:
        facts = await own.scalar(select(Run.facts).where(Run.id == live.id))
    assert (facts or {}).get("missed_questions") == (1 if status == "expired" else None)
    assert await events_of(sessions) == [
        ("question.opened", str(asked.id)),
        (f"question.{status}", str(asked.id)),
    ]


async def test_missed_questions_of_many_runs_are_counted_at_once(
    sessions: SessionFactory, session: AsyncSession, engine: AsyncEngine, task: Task, clock: MovableClock
) -> None:
    """Regression: there was a statement for each."""
    numbers, lease = (2, 1, 0), {"lease_owner": OWNER, "lease_expires_at": clock.now + timedelta(hours=1)}
    live = [await make_run(session, task=task, status=RunStatus.IN_PROGRESS, **lease) for _ in numbers]
    until = clock.now + timedelta(seconds=60)
    for run, number in zip(live, numbers, strict=True):
        await ask(sessions, run, ShownQuestion(kind=QuestionKind.MESSAGE, expires_at=until))
        for _ in range(number):
            await ask(sessions, run, permission(expires_at=until))
    clock.advance(seconds=60)
    async with recorded(engine) as statements, unit_of_work(sessions) as own:
        assert await withdraw(own, [run.id for run in live])
    assert sum(each.sql.startswith("UPDATE runs") for each in statements) == 1
    async with unit_of_work(sessions) as own:
        facts = {row.id: row.facts or {} for row in await own.execute(select(Run.id, Run.facts))}
    assert [facts[run.id].get("missed_questions") for run in live] == [2, 1, None]


ENDS = ["agent", "completed", "client", "handed back", "lost, repeated", "lost, failed", "silent"]


@pytest.mark.parametrize("end", ENDS)
async def test_no_question_outlives_its_agent(
    sessions: SessionFactory, session: AsyncSession, live: Run, clock: MovableClock, end: str
) -> None:
    asked = [await ask(sessions, live, question) for question in (permission(), _message())]
    events = RecordingEvents()
    if end == "lost, failed":
        await session.execute(update(Run).values(facts=Run.facts.op("||")({"agent_started_at": "then"})))
    if end == "silent":
        await session.execute(update(Run).values(lease_expires_at=None, lease_owner=None))
    async with unit_of_work(sessions) as own:
        match end:
            case "agent":
                await command_delivery.end_agent(own, live.id, owner=OWNER, seen=None, reason="It ended.")
            case "completed":
                result = run_lifecycle.RunEnd(status=RunStatus.COMPLETED)
                assert await run_lifecycle.finish(own, live.id, result, owner=OWNER, events=events)
            case "client":
                assert await run_lifecycle.set_status(own, live.id, RunStatus.CANCELLED, events=events)
            case "handed back":
                assert await run_lifecycle.hand_back(own, live.id, owner=OWNER, events=events)
            case "silent":
                clock.advance(seconds=100)
                assert await runs.fail_silent(own, silence=timedelta(seconds=90), events=events)
            case _:
                clock.advance(seconds=100)
                repeated, failed = await runs.recover_lapsed(own, events=events)
                assert (repeated, failed) == (([live.id], []) if end == "lost, repeated" else ([], [live.id]))
    assert [(await row_of(sessions, question)).status for question in asked] == ["withdrawn"] * 2
    assert await waiting_for(sessions, live) is None
    assert [type_ for type_, _ in await events_of(sessions)][2:] == ["question.withdrawn"] * 2


def _message() -> ShownQuestion:
    return ShownQuestion(kind=QuestionKind.MESSAGE)


OPENED = utcnow()


@pytest.mark.parametrize(
    ("asked", "urgency"),
    [
        (permission(), Urgency.NORMAL),
        (permission(opened_at=OPENED, expires_at=OPENED + timedelta(seconds=900)), Urgency.NORMAL),
        (permission(opened_at=OPENED, expires_at=OPENED + timedelta(seconds=899)), Urgency.HIGH),
        (permission(tool_call={"kind": "delete"}), Urgency.HIGH),
        (permission(tool_call={"kind": "read"}), Urgency.NORMAL),
        (ShownQuestion(kind=QuestionKind.MESSAGE, expires_at=utcnow()), Urgency.LOW),
    ],
)
async def test_urgency_follows_risk_and_time_left(
    sessions: SessionFactory, live: Run, asked: ShownQuestion, urgency: Urgency
) -> None:
    await ask(sessions, live, asked)
    assert (await row_of(sessions, asked)).urgency == urgency
