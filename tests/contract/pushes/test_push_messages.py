"""Pushes of questions (contract 16): the content for phones and browsers, and answers from the notification."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import ActionTokens, Platform, PushText, QuestionKind, QuestionRisk, QuestionStatus, Urgency
from app.models import Project, PushToken, Question, Run, Task, User
from app.runtime import ProcessContext
from app.services.notifications import push_claims
from app.services.notifications.action_tokens import read
from app.worker.loops import pushes
from tests.contract.pushes.conftest import Asks, Deliver
from tests.contract.pushes.rows import only_row, prefer
from tests.support.clock import MovableClock
from tests.support.devices import make_device
from tests.support.questions import make_question
from tests.support.stand_ins.push import PushService

pytestmark = pytest.mark.usefixtures("clock")


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
        "ttl": 24 * 3600,
        "badge": 1,
        "collapseId": f"q:{question.id}",
        "tag": f"q:{question.id}",
        "threadId": f"task:{task.id}",
        "categoryId": "question",
    }
    tokens = [action.pop("token") for action in actions]
    assert actions == [
        {"id": "reject", "option_id": "reject", "title": "Reject"},
        {"id": "allow", "option_id": "allow", "title": "Allow"},
    ]
    places = [[option["id"] for option in question.options].index(id_) for id_ in ("reject", "allow")]
    for token, place in zip(tokens, places, strict=True):
        claims_of = read(process.settings.secret_keys, token)
        assert claims_of is not None
        assert (claims_of.notification_id, claims_of.option) == (row.id, place)
    assert "tba_" not in str(vars(row))


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


async def test_longest_ids_of_options_have_buttons_that_answer(
    client: httpx.AsyncClient, push_service: PushService, ask: Asks, deliver: Deliver
) -> None:
    """A token that held such an id was longer than any that is read."""
    options = [
        {"id": sign * 255, "name": "-", "kind": kind}
        for sign, kind in (("\N{HAMMER}", "allow_once"), ("\N{CROSS MARK}", "reject_once"))
    ]
    question = await ask(options=options)
    await deliver()
    [reject, allow] = push_service.received[0]["data"]["actions"]
    assert [each["option_id"] for each in (allow, reject)] == [option["id"] for option in options]
    answered = await client.post(f"/api/actions/{reject['token']}", json={})
    assert (answered.status_code, answered.json()["answer"]) == (200, {"option_id": options[1]["id"]})
    assert question.id


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
    await pushes.deliver_due(replace(process, settings=settings))
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


@pytest.mark.parametrize(
    ("own", "limit", "body"),
    [
        (PushText.FULL, None, '"Fix the login page" needs your input: Run `make deploy`'),
        (PushText.TITLE, None, '"Fix the login page" needs your input'),
        (PushText.GENERIC, None, "A task needs your input"),
        (PushText.FULL, PushText.TITLE, '"Fix the login page" needs your input'),
        (PushText.FULL, PushText.GENERIC, "A task needs your input"),
        (PushText.GENERIC, PushText.FULL, "A task needs your input"),
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
) -> None:
    await prefer(session, owner, push_text=own)
    await session.execute(update(Project).where(Project.id == project.id).values(push_text=limit))
    await ask()
    await deliver()
    [message] = push_service.received
    assert message["body"] == body
    assert [action["title"] for action in message["data"]["actions"]] == ["Reject", "Allow"]


@pytest.mark.parametrize("text", list(PushText))
async def test_agent_does_not_name_the_buttons(
    session: AsyncSession,
    owner: User,
    push_service: PushService,
    ask: Asks,
    deliver: Deliver,
    text: PushText,
) -> None:
    """An `allow_once` that its agent called "Reject" was a button that allowed and said "Reject"."""
    await prefer(session, owner, push_text=text)
    await ask(
        options=[
            {"id": "no", "name": "Allow", "kind": "reject_once"},
            {"id": "yes", "name": "Reject", "kind": "allow_once"},
        ]
    )
    await deliver()
    actions = push_service.received[0]["data"]["actions"]
    assert [(action["option_id"], action["title"]) for action in actions] == [
        ("no", "Reject"),
        ("yes", "Allow"),
    ]


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


async def test_browser_gets_one_body_that_declares_and_is_read(
    session: AsyncSession, owner: User, process: ProcessContext, clock: MovableClock, ask: Asks
) -> None:
    """tests/clients/web_push/test_web_push_client.py holds the form of the body; here links and buttons reach it."""
    from app.services.notifications.push_messages import Composer  # noqa: PLC0415 - what makes the message

    await make_device(session, user=owner, platform=Platform.WEB)
    question = await ask(urgency=Urgency.HIGH, expires_at=clock.now + timedelta(minutes=10))
    settings = process.settings.model_copy(update={"public_url": "https://tasks.example/"})
    composer = Composer(settings)
    async with unit_of_work(process.sessions) as own:
        claimed = (await push_claims.claim_due(own)).deliveries
    styles = [composer.compose(each).style for each in claimed]
    for style in styles:
        assert style is not None
        assert style.link is not None
        token = style.link.removeprefix("https://tasks.example/a/")
        page = read(settings.secret_keys, token)
        assert page is not None
        assert (page.option, page.question_id) == (None, question.id)
        assert [action.link for action in style.actions] == [
            f"https://tasks.example/a/{action.token}" for action in style.actions
        ]
        assert style.ttl_seconds == 600
