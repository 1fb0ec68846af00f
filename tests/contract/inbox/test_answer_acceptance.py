"""Answers to questions (contract 15.2): the first one wins, and every later answer gets the winner."""

from typing import Any

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import CommandStatus, QuestionKind, QuestionStatus, RunStatus
from app.models import Project, Question, Run, RunCommand, Task, TaskFollow, User
from tests.support.assertions import assert_error, assert_invalid, assert_not_authenticated, assert_not_found
from tests.support.clock import MovableClock, wire_time
from tests.support.factories import make_task
from tests.support.questions import make_live_run, make_question, of_status

JSON = dict[str, Any]

FORM: JSON = {
    "type": "object",
    "properties": {
        "colour": {"type": "string", "oneOf": [{"const": "red", "title": "Red"}, {"const": "blue"}]},
        "sizes": {"type": "array", "items": {"type": "string", "enum": ["s", "m"]}, "uniqueItems": True},
        "count": {"type": "integer", "minimum": 1},
        # Would take for ever, if it were tried.
        "word": {"type": "string", "pattern": "^(a+)+$"},
    },
    "required": ["colour"],
}


async def commands(session: AsyncSession, run: Run) -> list[tuple[str, JSON]]:
    statement = select(RunCommand.method, RunCommand.params).where(RunCommand.run_id == run.id)
    return [(row.method, row.params) for row in await session.execute(statement)]


def assert_settled(response: httpx.Response, status: int, code: str, winner: JSON) -> None:
    """Check the envelope with the answer that counts (B.11 10)."""
    assert response.status_code == status, response.text
    body = response.json()
    assert list(body) == ["type", "code", "detail", "attr", "extra"]
    assert (body["type"], body["code"], body["attr"]) == ("invalid_request", code, None)
    assert body["extra"] == winner


NO_WINNER = {"answer": None, "answered_by": None, "answered_via": None, "answered_at": None}


async def test_answer_goes_to_the_agent_and_says_who_gave_it(
    client: httpx.AsyncClient,
    clock: MovableClock,
    session: AsyncSession,
    owner: User,
    run: Run,
    question: Question,
    answer_url: str,
) -> None:
    sent = {"option_id": "allow", "custom_input": "once only", "digest": question.digest.hex().upper()}
    response = await client.post(answer_url, json=sent)
    assert response.status_code == 200, response.text
    body = response.json()
    assert body.pop("answered_by")["id"] == owner.id
    assert body == {
        "status": "answered",
        "answer": {"option_id": "allow", "custom_input": "once only"},
        "answered_via": "api",
        "answered_at": wire_time(clock),
        "delivery": "accepted",
    }
    params = {"request_id": question.request_id, "option_id": "allow", "custom_input": "once only"}
    assert await commands(session, run) == [("permission_response", params)]


async def test_same_answer_again_is_repeated_and_says_how_far_it_is(
    client: httpx.AsyncClient, session: AsyncSession, run: Run, answer_url: str
) -> None:
    first = (await client.post(answer_url, json={"option_id": "allow"})).json()
    for status in (CommandStatus.ACCEPTED, CommandStatus.DELIVERED, CommandStatus.CONSUMED):
        settled_at = utcnow() if status is CommandStatus.CONSUMED else None
        await session.execute(update(RunCommand).values(status=status, settled_at=settled_at))
        again = await client.post(answer_url, json={"option_id": "allow"})
        assert (again.status_code, again.json()) == (200, {**first, "delivery": status, "repeated": True})
    assert len(await commands(session, run)) == 1


async def test_another_answer_gets_the_winner(
    client: httpx.AsyncClient, session: AsyncSession, run: Run, answer_url: str
) -> None:
    first = (await client.post(answer_url, json={"option_id": "allow"})).json()
    later = await client.post(answer_url, json={"option_id": "reject"})
    winner = {name: first[name] for name in NO_WINNER}
    assert_settled(later, 409, "already_answered", winner)
    assert len(await commands(session, run)) == 1


@pytest.mark.parametrize("status", [QuestionStatus.EXPIRED, QuestionStatus.WITHDRAWN])
async def test_closed_question_is_gone(
    client: httpx.AsyncClient, session: AsyncSession, run: Run, answer_url: str, status: QuestionStatus
) -> None:
    await session.execute(update(Question).values(of_status(status)))
    closed = await client.post(answer_url, json={"option_id": "allow"})
    assert_settled(closed, 410, "question_closed", NO_WINNER)
    assert await commands(session, run) == []


async def test_question_that_has_changed_is_not_answered(
    client: httpx.AsyncClient, session: AsyncSession, run: Run, answer_url: str
) -> None:
    response = await client.post(answer_url, json={"option_id": "allow", "digest": "0" * 64})
    assert_error(response, 409, type="invalid_request", code="question_changed", detail=None)
    assert await commands(session, run) == []


@pytest.mark.parametrize(
    ("kind", "body", "attr", "code"),
    [
        ("permission", {}, None, "invalid_input"),
        ("permission", {"option_id": None}, None, "invalid_input"),
        ("permission", {"option_id": "allow", "text": "x"}, None, "invalid_input"),
        ("form", {"action": "accept", "option_id": "allow"}, None, "invalid_input"),
        ("permission", {"option_id": "other"}, "option_id", "invalid_choice"),
        ("permission", {"action": "accept"}, "option_id", "invalid_input"),
        ("permission", {"text": "yes"}, "option_id", "invalid_input"),
        ("form", {"option_id": "allow"}, "action", "invalid_input"),
        ("form", {"text": "red"}, "action", "invalid_input"),
        ("form", {"action": "maybe"}, "action", "invalid_choice"),
        ("form", {"action": "decline", "content": {"colour": "red"}}, None, "invalid_input"),
        ("form", {"action": "accept"}, "content", "invalid_input"),
        ("form", {"action": "accept", "content": {"colour": "green"}}, "content__colour", "invalid_input"),
        (
            "form",
            {"action": "accept", "content": {"colour": "red", "sizes": ["s", "xl"]}},
            "content__sizes__1",
            "invalid_input",
        ),
        (
            "form",
            {"action": "accept", "content": {"colour": "red", "count": 0}},
            "content__count",
            "invalid_input",
        ),
        (
            "form",
            {"action": "accept", "content": {"colour": "red", "more": 1}},
            "content__more",
            "invalid_input",
        ),
        ("url", {"text": "done"}, "action", "invalid_input"),
        ("url", {"action": "accept", "content": {"a": 1}}, "content", "invalid_input"),
        ("message", {"option_id": "allow"}, "text", "invalid_input"),
        ("message", {"text": " "}, "text", "blank"),
        ("message", {"text": "x", "custom_input": "y"}, None, "invalid_input"),
    ],
    ids=str,
)
async def test_answer_that_does_not_fit_is_refused(
    client: httpx.AsyncClient,
    session: AsyncSession,
    questions_url: str,
    task: Task,
    run: Run,
    kind: str,
    body: JSON,
    attr: str | None,
    code: str,
) -> None:
    """B.11 22."""
    question = await make_question(session, task=task, run=run, kind=kind, schema=FORM)
    response = await client.post(f"{questions_url}/{question.id}/answer/", json=body)
    assert_invalid(response, attr, code)
    assert await commands(session, run) == []


@pytest.mark.parametrize("described", [{"type": "zz"}, {"type": "string", "oneOf": [1]}, "string"], ids=str)
async def test_form_that_cannot_be_read_can_only_be_declined(
    client: httpx.AsyncClient,
    session: AsyncSession,
    questions_url: str,
    task: Task,
    run: Run,
    described: Any,
) -> None:
    """Such a form was a server error, or took every answer."""
    schema = {"type": "object", "properties": {"colour": described}}
    question = await make_question(session, task=task, run=run, kind=QuestionKind.FORM, schema=schema)
    url = f"{questions_url}/{question.id}/answer/"
    accepted = await client.post(url, json={"action": "accept", "content": {"colour": "red"}})
    assert_invalid(accepted, "content", "invalid_input")
    assert (await client.post(url, json={"action": "decline"})).status_code == 200
    params = {"request_id": question.request_id, "action": "decline"}
    assert await commands(session, run) == [("permission_response", params)]


@pytest.mark.parametrize(
    ("kind", "body", "command"),
    [
        (
            "form",
            {"action": "accept", "content": {"colour": "red", "sizes": ["m"], "word": "a" * 100 + "!"}},
            (
                "permission_response",
                {"action": "accept", "content": {"colour": "red", "sizes": ["m"], "word": "a" * 100 + "!"}},
            ),
        ),
        ("form", {"action": "decline"}, ("permission_response", {"action": "decline"})),
        ("form", {"action": "cancel"}, ("permission_response", {"action": "cancel"})),
        ("url", {"action": "accept"}, ("permission_response", {"action": "accept"})),
        ("message", {"text": "Go on."}, ("user_message", {"content": "Go on.", "artifact_ids": []})),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_each_kind_has_its_command(
    client: httpx.AsyncClient,
    session: AsyncSession,
    questions_url: str,
    task: Task,
    run: Run,
    kind: str,
    body: JSON,
    command: tuple[str, JSON],
) -> None:
    question = await make_question(session, task=task, run=run, kind=kind, schema=FORM)
    response = await client.post(f"{questions_url}/{question.id}/answer/", json=body)
    assert response.status_code == 200, response.text
    assert response.json()["answer"] == body
    method, params = command
    named = {} if kind == QuestionKind.MESSAGE else {"request_id": question.request_id}
    assert await commands(session, run) == [(method, {**named, **params})]


async def test_repeated_key_answers_once(
    client: httpx.AsyncClient, session: AsyncSession, run: Run, answer_url: str
) -> None:
    headers = {"Idempotency-Key": "a"}
    first = await client.post(answer_url, json={"option_id": "allow"}, headers=headers)
    again = await client.post(answer_url, json={"option_id": "allow"}, headers=headers)
    assert (again.json(), again.headers["idempotent-replayed"]) == (first.json(), "true")
    assert "repeated" not in again.json()
    other = await client.post(answer_url, json={"option_id": "reject"}, headers=headers)
    assert other.json()["code"] == "idempotency_conflict"
    assert len(await commands(session, run)) == 1


async def test_without_a_key_it_is_403(anonymous: httpx.AsyncClient, answer_url: str) -> None:
    """B.11 13."""
    for url in (answer_url, answer_url.replace("/answer/", "/snooze/")):
        assert_not_authenticated(await anonymous.post(url, json={}), 403)


async def test_question_out_of_sight_is_not_found(
    client: httpx.AsyncClient, session: AsyncSession, project: Project, questions_url: str, colleague: User
) -> None:
    private = await make_task(session, project=project, created_by=colleague)
    hidden = (await make_question(session, task=private)).id
    for id_ in (hidden, "11111111-1111-4111-8111-111111111111", "nonsense"):
        answered = await client.post(f"{questions_url}/{id_}/answer/", json={"option_id": "allow"})
        assert_not_found(answered)
        assert_not_found(await client.post(f"{questions_url}/{id_}/snooze/", json={"seconds": 60}))


async def test_run_without_a_worker_takes_no_answer(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, questions_url: str
) -> None:
    run = await make_live_run(session, task=task, lease_owner=None, lease_expires_at=None)
    question = await make_question(session, task=task, run=run)
    response = await client.post(f"{questions_url}/{question.id}/answer/", json={"option_id": "allow"})
    assert (response.status_code, response.json()) == (400, {"error": "No active sandbox for this task run"})


async def test_run_that_ended_with_its_question_makes_it_gone(
    client: httpx.AsyncClient, session: AsyncSession, answer_url: str
) -> None:
    await session.execute(
        update(Run).values(
            status=RunStatus.COMPLETED, completed_at=utcnow(), lease_owner=None, lease_expires_at=None
        )
    )
    await session.execute(update(Question).values(of_status(QuestionStatus.WITHDRAWN)))
    closed = await client.post(answer_url, json={"option_id": "allow"})
    assert_settled(closed, 410, "question_closed", NO_WINNER)


async def test_member_who_answers_follows_the_task(
    colleagues_client: httpx.AsyncClient,
    session: AsyncSession,
    project: Project,
    owner: User,
    colleague: User,
    questions_url: str,
) -> None:
    """B.11 21; its creator does not, since it is in their inbox anyway."""
    task = await make_task(session, project=project, created_by=owner, origin_product="signals_scout")
    question = await make_question(session, task=task)
    response = await colleagues_client.post(
        f"{questions_url}/{question.id}/answer/", json={"option_id": "allow"}
    )
    assert response.json()["answered_by"]["id"] == colleague.id
    follows = (await session.execute(select(TaskFollow.user_id, TaskFollow.task_id))).all()
    assert [tuple(row) for row in follows] == [(colleague.id, task.id)]


async def test_member_who_commands_follows_the_task(
    colleagues_client: httpx.AsyncClient,
    session: AsyncSession,
    project: Project,
    owner: User,
    colleague: User,
    tasks_url: str,
) -> None:
    """B.11 21."""
    task = await make_task(session, project=project, created_by=owner, origin_product="signals_scout")
    run = await make_live_run(session, task=task)
    command = {"jsonrpc": "2.0", "method": "user_message", "params": {"content": "Go on."}}
    response = await colleagues_client.post(f"{tasks_url}/{task.id}/runs/{run.id}/command/", json=command)
    assert response.json()["result"] == {"queued": True}
    follows = (await session.execute(select(TaskFollow.user_id, TaskFollow.task_id))).all()
    assert [tuple(row) for row in follows] == [(colleague.id, task.id)]
