"""Gone when handled, and answered from the notification (contract 16): what phones and browsers get about questions."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import (
    AnswerVia,
    NotificationKind,
    Platform,
    QuestionKind,
    QuestionRisk,
    QuestionStatus,
    RunStatus,
    Urgency,
)
from app.models import (
    Notification,
    NotificationPreferences,
    Project,
    PushToken,
    Question,
    Run,
    RunCommand,
    Task,
    User,
)
from app.push_preferences import ActionTokens, PushText
from app.runtime import ProcessContext
from app.services.action_tokens import read
from app.services.notifications import claims
from app.services.notifications import dispatch as notifications
from app.services.questions import records
from app.services.runs import lifecycle as run_lifecycle
from app.services.runs.lifecycle import RunEnd
from app.worker.context import PUSH_LANES
from app.worker.jobs import deliver_notifications
from app.worker.jobs.fetch_receipts import fetch_due
from tests.support.clock import MovableClock
from tests.support.devices import make_device, notifications_of
from tests.support.fakes import RecordingEvents
from tests.support.push import Fault, PushService
from tests.support.questions import make_live_run, make_question
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("clock")

Deliver = Callable[[], Awaitable[int]]
Asks = Callable[..., Awaitable[Question]]


@pytest.fixture
async def run(session: AsyncSession, task: Task) -> Run:
    return await make_live_run(session, task=task)


@pytest.fixture
def settings_of_links() -> dict[str, Any]:
    """What is set otherwise than elsewhere."""
    return {"public_url": "https://tasks.example", "task_url": "https://app.example/{project_id}/{task_id}"}


@pytest.fixture
def deliver(process: ProcessContext, settings_of_links: dict[str, Any]) -> Deliver:
    """Let a worker deliver what is due."""
    worker = replace(process, settings=process.settings.model_copy(update=settings_of_links))

    async def deliver() -> int:
        return await deliver_notifications.deliver_due(worker, asyncio.Semaphore(PUSH_LANES))

    return deliver


@pytest.fixture
def ask(sessions: SessionFactory, session: AsyncSession, task: Task, run: Run, device: PushToken) -> Asks:
    """Let the agent ask, and push that it does."""
    assert device.id

    async def ask(**question: Any) -> Question:
        asked = await make_question(session, task=task, run=run, **question)
        async with unit_of_work(sessions) as own:
            await notifications.request(own, NotificationKind.AWAITING, [run.id], question_id=asked.id)
        return asked

    return ask


async def answer(sessions: SessionFactory, question: Question, by: User) -> None:
    async with unit_of_work(sessions) as session:
        command = await session.scalar(select(RunCommand.id).limit(1))
        assert await records.close_answered(
            session,
            question.id,
            answer={"option_id": "allow"},
            user_id=by.id,
            via=AnswerVia.API,
            command_id=command,  # type: ignore[arg-type] # no agent waits for it here
        )


async def end_run(sessions: SessionFactory, run: Run) -> None:
    async with unit_of_work(sessions) as session:
        end = RunEnd(status=RunStatus.FAILED)
        assert await run_lifecycle.finish(session, run.id, end, owner="worker", events=RecordingEvents())


async def only_row(sessions: SessionFactory, task: Task) -> Notification:
    [row] = await notifications_of(sessions, task)
    return row


def history(row: Notification) -> list[tuple[str, str | None]]:
    return [(entry["decision"], entry["reason"]) for entry in row.history]


async def prefer(session: AsyncSession, user: User, **values: Any) -> None:
    session.add(NotificationPreferences(user_id=user.id, **values))
    await session.flush()


async def test_notice_of_a_question_says_how_to_answer_it(
    process: ProcessContext,
    sessions: SessionFactory,
    task: Task,
    run: Run,
    device: PushToken,
    push_service: PushService,
    ask: Asks,
    deliver: Deliver,
) -> None:
    question = await ask()
    assert await deliver() == 1

    [message] = push_service.received
    row = await only_row(sessions, task)
    actions = message["data"].pop("actions")
    assert message == {
        "to": device.token,
        "title": "Taskbeacon",
        "body": '"Fix the login page" needs your input',
        "data": {
            "taskId": str(task.id),
            "taskRunId": str(run.id),
            "questionId": str(question.id),
            "seq": row.event_seq,
            "digest": question.digest.hex(),
        },
        "sound": "default",
        "priority": "high",
        "interruptionLevel": "active",
        "badge": 1,
        "collapseId": f"q:{question.id}",
        "tag": f"q:{question.id}",
        "threadId": f"task:{task.id}",
        "categoryId": "question",
    }
    tokens = [action.pop("token") for action in actions]
    assert actions == [
        {"id": "reject", "option_id": "reject", "title": "Reject"},
        {"id": "allow", "option_id": "allow", "title": "Allow once"},
    ]
    for token, option_id in zip(tokens, ("reject", "allow"), strict=True):
        claims_of = read(process.settings.secret_keys, token)
        assert claims_of is not None
        assert (claims_of.notification_id, claims_of.option_id) == (row.id, option_id)
    stored = str([getattr(row, column.key) for column in Notification.__table__.columns])
    assert "tba_" not in stored


async def test_button_of_a_notice_answers_the_question(
    client: httpx.AsyncClient, session: AsyncSession, push_service: PushService, ask: Asks, deliver: Deliver
) -> None:
    question = await ask()
    await deliver()
    [message] = push_service.received
    token = message["data"]["actions"][1]["token"]

    first, again = [await client.post(f"/api/actions/{token}", json={}) for _ in range(2)]

    assert (first.status_code, again.status_code, again.json()["repeated"]) == (200, 200, True)
    status = await session.scalar(select(Question.status).where(Question.id == question.id))
    assert status == QuestionStatus.ANSWERED
    # The notice is replaced on the phone by itself.
    assert await deliver() == 1
    assert push_service.received[-1]["data"]["kind"] == "clear"


@pytest.mark.parametrize(
    ("tokens", "risk", "count"),
    [
        (ActionTokens.NORMAL, QuestionRisk.LOW, 2),
        (ActionTokens.NORMAL, QuestionRisk.NORMAL, 2),
        (ActionTokens.NORMAL, QuestionRisk.HIGH, 0),
        (ActionTokens.LOW, QuestionRisk.LOW, 2),
        (ActionTokens.LOW, QuestionRisk.NORMAL, 0),
        (ActionTokens.OFF, QuestionRisk.LOW, 0),
    ],
)
async def test_buttons_up_to_the_risk_that_the_operator_allows(
    push_service: PushService,
    settings_of_links: dict[str, Any],
    process: ProcessContext,
    ask: Asks,
    tokens: ActionTokens,
    risk: QuestionRisk,
    count: int,
) -> None:
    await ask(risk=risk)
    settings = process.settings.model_copy(update={**settings_of_links, "action_tokens": tokens})
    await deliver_notifications.deliver_due(
        replace(process, settings=settings), asyncio.Semaphore(PUSH_LANES)
    )
    [message] = push_service.received
    assert len(message["data"].get("actions", [])) == count


@pytest.mark.parametrize("kind", [QuestionKind.FORM, QuestionKind.URL, QuestionKind.MESSAGE])
async def test_only_permissions_have_buttons(
    push_service: PushService, ask: Asks, deliver: Deliver, kind: QuestionKind
) -> None:
    await ask(kind=kind, urgency=Urgency.NORMAL)
    await deliver()
    assert "actions" not in push_service.received[0]["data"]


@pytest.mark.parametrize(
    ("urgency", "level", "priority"),
    [
        (Urgency.HIGH, "time-sensitive", "high"),
        (Urgency.NORMAL, "active", "high"),
        (Urgency.LOW, "passive", "normal"),
    ],
)
async def test_class_of_a_question_says_how_loud_it_is(
    push_service: PushService, ask: Asks, deliver: Deliver, urgency: Urgency, level: str, priority: str
) -> None:
    await ask(urgency=urgency)
    await deliver()
    [message] = push_service.received
    assert (message["interruptionLevel"], message["priority"]) == (level, priority)


@pytest.mark.parametrize(
    ("channels", "sent"), [(["questions"], "questions"), (["results"], None), ([], None)]
)
async def test_channel_is_named_only_to_a_device_that_has_it(
    client: httpx.AsyncClient,
    device: PushToken,
    push_service: PushService,
    ask: Asks,
    deliver: Deliver,
    channels: list[str],
    sent: str | None,
) -> None:
    registered = await client.post(
        "/api/users/@me/push_tokens/",
        json={"token": device.token, "platform": "android", "channels": channels},
    )
    assert registered.status_code == 200
    await ask()
    await deliver()
    assert push_service.received[0].get("channelId") == sent


async def test_answered_question_replaces_its_notice_and_the_badge_falls(
    sessions: SessionFactory,
    session: AsyncSession,
    task: Task,
    colleague: User,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> None:
    await session.execute(update(User).where(User.id == colleague.id).values(first_name="Ana"))
    question = await ask()
    await deliver()
    clock.advance(seconds=20)

    await answer(sessions, question, colleague)
    assert await deliver() == 1

    notice, clear = push_service.received
    assert (notice["badge"], clear["badge"]) == (1, 0)
    assert clear["body"] == "Answered by Ana"
    assert clear["collapseId"] == notice["collapseId"]
    assert clear["tag"] == notice["tag"]
    assert (clear["interruptionLevel"], clear["priority"], clear.get("sound")) == ("passive", "normal", None)
    assert "categoryId" not in clear
    # A word that arrives late is known for what it is by its number.
    assert clear["data"]["seq"] > (notice["data"]["seq"] or 0)
    row = await only_row(sessions, task)
    assert history(row) == [("sent", None), ("retracted", "answered")]
    assert (row.decision, row.attempts) == ("retracted", 2)
    clock.advance(hours=1)
    assert await deliver() == 0


@pytest.mark.parametrize(
    ("receipt", "then"),
    [
        ({"status": "ok"}, [("sent", None), ("delivered", None), ("retracted", "answered")]),
        (
            {"status": "error", "details": {"error": "InvalidCredentials"}},
            [("sent", None), ("rejected", "InvalidCredentials")],
        ),
    ],
)
async def test_notice_that_never_reached_its_device_is_not_retracted(
    process: ProcessContext,
    sessions: SessionFactory,
    task: Task,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
    receipt: dict[str, Any],
    then: list[tuple[str, str | None]],
) -> None:
    question = await ask()
    await deliver()
    push_service.receipts[(await only_row(sessions, task)).ticket_id or ""] = receipt
    clock.advance(minutes=15)
    await fetch_due(process)
    await answer(sessions, question, owner)
    await deliver()
    assert history(await only_row(sessions, task)) == then


async def test_receipt_of_a_retraction_leaves_it_retracted(
    process: ProcessContext,
    sessions: SessionFactory,
    task: Task,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> None:
    question = await ask()
    await deliver()
    await answer(sessions, question, owner)
    await deliver()
    push_service.receipts[(await only_row(sessions, task)).ticket_id or ""] = {"status": "ok"}
    clock.advance(minutes=15)
    assert await fetch_due(process) == 1
    row = await only_row(sessions, task)
    assert (row.decision, row.receipt_due_at, row.settled_at) == ("retracted", None, clock.now)


async def test_notice_that_was_not_sent_is_not_retracted(
    sessions: SessionFactory,
    task: Task,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> None:
    question = await ask()
    await answer(sessions, question, owner)

    assert await deliver() == 0
    clock.advance(hours=1)
    assert await deliver() == 0

    assert push_service.received == []
    assert history(await only_row(sessions, task)) == [("not_needed", "answered")]


async def test_question_that_closes_while_its_notice_is_on_the_wire_is_retracted_afterwards(
    sessions: SessionFactory,
    task: Task,
    owner: User,
    push_service: PushService,
    ask: Asks,
    deliver: Deliver,
) -> None:
    question = await ask()
    push_service.delay_seconds = 0.2
    sending = asyncio.ensure_future(deliver())
    await eventually(lambda: bool(push_service.batches))
    await answer(sessions, question, owner)
    await sending

    await deliver()

    assert history(await only_row(sessions, task)) == [("sent", None), ("retracted", "answered")]
    assert [message["data"].get("kind") for message in push_service.received] == [None, "clear"]


async def test_refused_retraction_is_tried_again_and_changes_no_decision(
    sessions: SessionFactory,
    task: Task,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> None:
    question = await ask()
    await deliver()
    clock.advance(hours=5)
    await answer(sessions, question, owner)
    push_service.faults.append(Fault(503))
    await deliver()
    assert (await only_row(sessions, task)).decision == "sent"
    clock.advance(seconds=16)
    await deliver()
    assert history(await only_row(sessions, task))[-1] == ("retracted", "answered")
    assert len(push_service.received) == 2


async def test_end_of_the_run_takes_the_place_of_its_question(
    sessions: SessionFactory,
    task: Task,
    run: Run,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> None:
    question = await ask()
    await deliver()
    clock.advance(seconds=40)
    await end_run(sessions, run)
    await deliver()
    clock.advance(minutes=1)
    await deliver()

    notice, end = push_service.received
    assert (end["collapseId"], end["tag"]) == (notice["collapseId"], notice["tag"])
    assert end["data"] == {"taskId": str(task.id), "taskRunId": str(run.id)}
    rows = {row.kind: history(row) for row in await notifications_of(sessions, task)}
    assert rows == {"awaiting": [("sent", None), ("retracted", "replaced")], "failed": [("sent", None)]}
    assert question.id


async def test_question_of_an_ended_run_is_cleared_if_its_end_is_not_pushed(
    sessions: SessionFactory,
    session: AsyncSession,
    owner: User,
    task: Task,
    run: Run,
    push_service: PushService,
    ask: Asks,
    deliver: Deliver,
) -> None:
    await prefer(session, owner, failed=False)
    await ask()
    await deliver()
    await end_run(sessions, run)
    await deliver()
    assert [message["body"] for message in push_service.received][1:] == ["No longer needed"]
    assert task.id


async def test_reminder_of_an_open_question_is_sent_once(
    sessions: SessionFactory,
    session: AsyncSession,
    owner: User,
    task: Task,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> None:
    await prefer(session, owner, reminder_after_seconds=300)
    question = await ask()
    await deliver()
    clock.advance(seconds=299)
    assert await deliver() == 0
    clock.advance(seconds=1)
    assert await deliver() == 1
    clock.advance(hours=1)
    assert await deliver() == 0

    row = await only_row(sessions, task)
    assert history(row) == [("sent", None), ("reminder", "still_open")]
    notice, reminder = push_service.received
    assert (reminder["tag"], reminder["sound"]) == (notice["tag"], "default")
    await answer(sessions, question, owner)
    assert await deliver() == 1
    assert history(await only_row(sessions, task))[-1] == ("retracted", "answered")


async def test_answered_question_has_no_reminder(
    sessions: SessionFactory,
    session: AsyncSession,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> None:
    await prefer(session, owner, reminder_after_seconds=300)
    question = await ask()
    await deliver()
    await answer(sessions, question, owner)
    await deliver()
    clock.advance(hours=1)
    assert await deliver() == 0
    assert [message["data"].get("kind") for message in push_service.received] == [None, "clear"]


@pytest.mark.parametrize(
    ("own", "limit", "body", "buttons"),
    [
        (PushText.FULL, None, '"Fix the login page" needs your input: Run `make deploy`', "Allow once"),
        (PushText.TITLE, None, '"Fix the login page" needs your input', "Allow once"),
        (PushText.GENERIC, None, "A task needs your input", "Allow"),
        (PushText.FULL, PushText.TITLE, '"Fix the login page" needs your input', "Allow once"),
        (PushText.FULL, PushText.GENERIC, "A task needs your input", "Allow"),
        (PushText.GENERIC, PushText.FULL, "A task needs your input", "Allow"),
    ],
)
async def test_push_says_no_more_than_its_person_and_its_project_want(
    session: AsyncSession,
    owner: User,
    project: Project,
    push_service: PushService,
    ask: Asks,
    deliver: Deliver,
    own: PushText,
    limit: PushText | None,
    body: str,
    buttons: str,
) -> None:
    await prefer(session, owner, push_text=own)
    await session.execute(update(Project).where(Project.id == project.id).values(push_text=limit))
    await ask()
    await deliver()
    [message] = push_service.received
    assert (message["body"], message["data"]["actions"][1]["title"]) == (body, buttons)


async def test_badge_counts_what_waits_over_all_tasks_but_messages(
    session: AsyncSession,
    task: Task,
    run: Run,
    push_service: PushService,
    ask: Asks,
    deliver: Deliver,
) -> None:
    await make_question(session, task=task, run=run, kind=QuestionKind.MESSAGE)
    await make_question(session, task=task, run=run, kind=QuestionKind.FORM)
    await make_question(session, task=task, run=run, status=QuestionStatus.EXPIRED)
    await ask()
    await deliver()
    assert push_service.received[0]["badge"] == 2


@pytest.mark.parametrize("step", ["claimed", "claim rolled back"])
async def test_retraction_of_a_dispatcher_that_died_is_sent_once_more(
    sessions: SessionFactory,
    task: Task,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
    step: str,
) -> None:
    from app.services.notifications import sequels  # noqa: PLC0415 - the step that is broken off

    question = await ask()
    await deliver()
    await answer(sessions, question, owner)
    async with sessions() as dying:
        assert len(await sequels.claim_sequels(dying)) == 1
        await (dying.commit() if step == "claimed" else dying.rollback())
    clock.advance(seconds=60)
    assert await deliver() == 1
    assert history(await only_row(sessions, task)) == [("sent", None), ("retracted", "answered")]
    assert len(push_service.received) == 2


async def test_every_decision_is_explained_by_one_request(
    client: httpx.AsyncClient,
    sessions: SessionFactory,
    owner: User,
    task_url: str,
    ask: Asks,
    deliver: Deliver,
) -> None:
    question = await ask()
    await deliver()
    await answer(sessions, question, owner)
    await deliver()
    [row] = (await client.get(f"{task_url}/notifications/")).json()["results"]
    shown: Mapping[str, Any] = row
    assert [(entry["decision"], entry["reason"]) for entry in shown["history"]] == [
        ("sent", None),
        ("retracted", "answered"),
    ]
    assert shown["decision"] == "retracted"


async def test_browser_gets_one_body_that_declares_and_is_read(
    session: AsyncSession, owner: User, process: ProcessContext, clock: MovableClock, ask: Asks
) -> None:
    """The form of the body is held in tests/clients/test_web_push.py; here that links and buttons reach it."""
    from app.services.notifications.messages import Composer  # noqa: PLC0415 - what makes the message

    await make_device(session, user=owner, platform=Platform.WEB)
    question = await ask(urgency=Urgency.HIGH, expires_at=clock.now + timedelta(minutes=10))
    settings = process.settings.model_copy(update={"public_url": "https://tasks.example/"})
    composer = Composer.of(settings)
    async with unit_of_work(process.sessions) as own:
        claimed = (await claims.claim_due(own)).deliveries
    styles = [composer.compose(each).style for each in claimed]
    for style in styles:
        assert style is not None
        assert style.link is not None
        token = style.link.removeprefix("https://tasks.example/a/")
        page = read(settings.secret_keys, token)
        assert page is not None
        assert (page.option_id, page.question_id) == (None, question.id)
        assert [action.link for action in style.actions] == [
            f"https://tasks.example/a/{action.token}" for action in style.actions
        ]
        assert style.ttl_seconds == 600
