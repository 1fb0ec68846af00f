"""Action tokens (contract 15.6): answer from a notification, with no other credential."""

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import ActionTokens, QuestionRisk, QuestionStatus
from app.ids import new_id
from app.models import Membership, Notification, PushToken, Question, RunCommand, Task, User
from app.runtime import ProcessContext
from app.schemas.questions import ActionIn
from app.services.inbox.token_answers import TokenSender, open_action
from app.services.inbox.token_answers import act as answer_action
from tests.contract.inbox.conftest import MintToken
from tests.contract.inbox.test_answer_acceptance import NO_WINNER, assert_settled
from tests.support.assertions import assert_error, assert_invalid, assert_not_found, assert_permission_denied
from tests.support.clock import MovableClock
from tests.support.database.faults import rolled_back
from tests.support.devices import make_device
from tests.support.factories import make_user
from tests.support.questions import of_status

JSON = dict[str, Any]
PRIVATE = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex",
}
BROWSER = {"User-Agent": "A phone", "Content-Type": "application/x-www-form-urlencoded"}


async def press(
    client: httpx.AsyncClient, token: str, *fields: tuple[str, str], site: str = "same-origin"
) -> httpx.Response:
    """Send the form of a token's page."""
    headers = BROWSER | {"Sec-Fetch-Site": site}
    return await client.post(f"/a/{token}", content=urlencode(fields), headers=headers)


@asynccontextmanager
async def signed_in(client: httpx.AsyncClient, key: str) -> AsyncGenerator[None, None]:
    """Have the browser signed in to the console with a key."""
    # The cookie is for https.
    client.base_url = httpx.URL("https://tasks.example.com")
    assert (await client.post("/api/console/session", json={"api_key": key})).status_code == 201
    yield
    client.cookies.clear()


async def act(client: httpx.AsyncClient, token: str, body: JSON | None = None) -> httpx.Response:
    return await client.post(f"/api/actions/{token}/", json=body or {}, headers={"User-Agent": "A phone"})


async def state(session: AsyncSession) -> tuple[str, int]:
    """Return the status of the question, and how many commands its agent was sent."""
    status = (await session.execute(select(Question.status))).scalar_one()
    return status, len((await session.execute(select(RunCommand.id))).all())


def assert_private(response: httpx.Response) -> None:
    assert {name: response.headers[name] for name in PRIVATE} == PRIVATE


class TestToken:
    async def test_it_answers_as_its_person_and_the_answer_says_from_where(
        self,
        anonymous: httpx.AsyncClient,
        session: AsyncSession,
        owner: User,
        device: PushToken,
        notification: Notification,
        new_token: MintToken,
    ) -> None:
        response = await act(anonymous, new_token("reject"))
        assert response.status_code == 200, response.text
        assert_private(response)
        body = response.json()
        assert (body["answer"], body["answered_via"]) == ({"option_id": "reject"}, "action_token")
        assert (body["answered_by"]["id"], body["delivery"]) == (owner.id, "accepted")
        kept = (await session.execute(select(Question.answered_from))).scalar_one()
        assert kept == {
            "notification": str(notification.id),
            "option": 2,
            "device": str(device.id),
            "address": "127.0.0.1",
            "user_agent": "A phone",
        }
        assert await state(session) == ("answered", 1)

    async def test_same_token_again_is_repeated_and_another_gets_the_winner(
        self, anonymous: httpx.AsyncClient, session: AsyncSession, new_token: MintToken
    ) -> None:
        """B.11 7."""
        allow, reject = new_token("allow"), new_token("reject")
        first = (await act(anonymous, allow)).json()
        assert (await act(anonymous, allow)).json() == {**first, "repeated": True}
        winner = {name: first[name] for name in NO_WINNER}
        assert_settled(await act(anonymous, reject), 409, "already_answered", winner)
        page = await act(anonymous, new_token(), {"option_id": "allow"})
        assert_settled(page, 409, "already_answered", winner)
        elsewhere = new_token("allow", notification_id=await other_notification(session))
        assert_settled(await act(anonymous, elsewhere), 409, "already_answered", winner)
        assert await state(session) == ("answered", 1)

    async def test_token_comes_too_late_for_an_answer_by_other_ways(
        self,
        client: httpx.AsyncClient,
        anonymous: httpx.AsyncClient,
        answer_url: str,
        new_token: MintToken,
    ) -> None:
        await client.post(answer_url, json={"option_id": "allow"})
        assert (await act(anonymous, new_token("allow"))).json()["code"] == "already_answered"

    @pytest.mark.parametrize("status", [QuestionStatus.EXPIRED, QuestionStatus.WITHDRAWN])
    async def test_closed_question_is_gone(
        self,
        anonymous: httpx.AsyncClient,
        session: AsyncSession,
        new_token: MintToken,
        status: QuestionStatus,
    ) -> None:
        await session.execute(update(Question).values(of_status(status)))
        response = await act(anonymous, new_token("allow"))
        assert_settled(response, 410, "question_closed", NO_WINNER)
        assert_private(response)

    async def test_forged_unknown_and_old_tokens_are_not_found(
        self,
        anonymous: httpx.AsyncClient,
        session: AsyncSession,
        clock: MovableClock,
        new_token: MintToken,
    ) -> None:
        good = new_token("allow")
        bad = [
            "x",
            "tba_",
            good[:-1],
            good + "A",
            new_token("allow", notification_id=new_id()),
            new_token("allow", question_id=new_id()),
        ]
        for token in bad:
            response = await act(anonymous, token)
            assert_not_found(response)
            assert_private(response)
        clock.advance(hours=24)
        assert_not_found(await act(anonymous, good))
        assert await state(session) == ("open", 0)

    async def test_person_without_access_has_no_token_any_more(
        self, anonymous: httpx.AsyncClient, session: AsyncSession, owner: User, new_token: MintToken
    ) -> None:
        token = new_token("allow")
        await session.execute(update(User).where(User.id == owner.id).values(is_active=False))
        assert_not_found(await act(anonymous, token))
        await session.execute(update(User).where(User.id == owner.id).values(is_active=True))
        await session.execute(update(Task).values(deleted=True, deleted_at=utcnow()))
        assert_not_found(await act(anonymous, token))
        await session.execute(update(Task).values(deleted=False, deleted_at=None))
        await session.execute(delete(Membership).where(Membership.user_id == owner.id))
        assert_not_found(await act(anonymous, token))
        assert (await anonymous.get(f"/a/{token}")).status_code == 404
        assert await state(session) == ("open", 0)

    async def test_question_that_changed_is_not_answered(
        self, anonymous: httpx.AsyncClient, session: AsyncSession, new_token: MintToken
    ) -> None:
        token = new_token("allow")
        await session.execute(update(Question).values(digest=bytes(32)))
        response = await act(anonymous, token)
        assert_error(response, 409, type="invalid_request", code="question_changed", detail=None)
        assert await state(session) == ("open", 0)

    async def test_high_risk_takes_no_token(
        self, anonymous: httpx.AsyncClient, session: AsyncSession, new_token: MintToken
    ) -> None:
        await session.execute(update(Question).values(risk=QuestionRisk.HIGH))
        for token, body in ((new_token("allow"), {}), (new_token(), {"option_id": "allow"})):
            refused = await act(anonymous, token, body)
            assert_permission_denied(refused, "This question needs an API key: its risk is high.")
        assert await state(session) == ("open", 0)

    async def test_token_of_an_option_is_for_no_other(
        self, anonymous: httpx.AsyncClient, session: AsyncSession, new_token: MintToken
    ) -> None:
        assert_invalid(
            await act(anonymous, new_token("allow"), {"option_id": "always"}), "option_id", "invalid_input"
        )
        assert_invalid(
            await act(anonymous, new_token("allow"), {"action": "accept"}), "option_id", "invalid_input"
        )
        assert await state(session) == ("open", 0)

    async def test_token_of_an_option_refuses_too(
        self, anonymous: httpx.AsyncClient, session: AsyncSession, new_token: MintToken
    ) -> None:
        answered = await act(anonymous, new_token("allow"), {"option_id": "reject"})
        assert (answered.status_code, answered.json()["answer"]) == (200, {"option_id": "reject"})
        assert await state(session) == ("answered", 1)

    async def test_token_ends_with_its_device(
        self, anonymous: httpx.AsyncClient, session: AsyncSession, device: PushToken, new_token: MintToken
    ) -> None:
        other = await make_user(session)
        await session.execute(update(PushToken).where(PushToken.id == device.id).values(user_id=other.id))
        assert_not_found(await act(anonymous, new_token("allow")))
        await session.execute(delete(PushToken).where(PushToken.id == device.id))
        assert_not_found(await act(anonymous, new_token("allow")))
        assert (await anonymous.get(f"/a/{new_token()}")).status_code == 404
        assert await state(session) == ("open", 0)

    async def test_buttons_end_beyond_the_risk_that_the_operator_allows_now(
        self,
        application: FastAPI,
        anonymous: httpx.AsyncClient,
        session: AsyncSession,
        new_token: MintToken,
    ) -> None:
        process: ProcessContext = application.state.process
        settings = process.settings.model_copy(update={"action_tokens": ActionTokens.LOW})
        application.state.process = replace(process, settings=settings)
        assert_not_found(await act(anonymous, new_token("allow")))
        by_page = await act(anonymous, new_token(), {"option_id": "allow"})
        assert_permission_denied(by_page, "This question needs an API key: its risk is normal.")
        assert 'name="key"' in (await anonymous.get(f"/a/{new_token()}")).text
        assert await state(session) == ("open", 0)
        await session.execute(update(Question).values(risk=QuestionRisk.LOW))
        assert (await act(anonymous, new_token("allow"))).status_code == 200

    async def test_page_token_takes_any_option(
        self, anonymous: httpx.AsyncClient, session: AsyncSession, new_token: MintToken
    ) -> None:
        assert_invalid(await act(anonymous, new_token()), "option_id", "invalid_input")
        assert (await act(anonymous, new_token(), {"option_id": "always"})).status_code == 200
        assert await state(session) == ("answered", 1)

    async def test_tokens_that_are_switched_off_are_not_found(
        self,
        application: FastAPI,
        anonymous: httpx.AsyncClient,
        session: AsyncSession,
        new_token: MintToken,
    ) -> None:
        process: ProcessContext = application.state.process
        settings = process.settings.model_copy(update={"action_tokens": ActionTokens.OFF})
        application.state.process = replace(process, settings=settings)
        assert_not_found(await act(anonymous, new_token("allow")))
        assert (await anonymous.get(f"/a/{new_token()}")).status_code == 404
        assert await state(session) == ("open", 0)

    async def test_token_is_in_no_log(
        self, anonymous: httpx.AsyncClient, new_token: MintToken, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        token = new_token("allow")
        await anonymous.get(f"/a/{token}")
        await act(anonymous, token)
        await anonymous.get(f"/a/{token}/nowhere")
        assert "/api/actions/[redacted]" in caplog.text
        assert "/a/[redacted]" in caplog.text
        # The client of this test logs what it asks for.
        ours = "".join(record.message for record in caplog.records if record.name != "httpx")
        assert token.partition(".")[2] not in ours
        audits = [
            json.loads(record.message) for record in caplog.records if "answered_by_token" in record.message
        ]
        assert [(audit["address"], audit["user_agent"]) for audit in audits] == [("127.0.0.1", "A phone")]

    async def test_address_has_a_limit_that_keys_do_not_share(
        self, anonymous: httpx.AsyncClient, client: httpx.AsyncClient, clock: MovableClock
    ) -> None:
        answers = [await anonymous.get("/a/tba_x") for _ in range(61)]
        assert [answer.status_code for answer in answers] == [404] * 60 + [429]
        assert int(answers[-1].headers["retry-after"]) > 0
        refused = await act(anonymous, "tba_x")
        assert (refused.status_code, refused.json()["type"]) == (429, "throttled_error")
        assert (await client.get("/api/users/@me")).status_code == 200
        clock.advance(minutes=1)
        assert_not_found(await act(anonymous, "tba_x"))


async def test_answer_is_logged_once_it_is_committed(
    process: ProcessContext, sessions: SessionFactory, new_token: MintToken, caplog: pytest.LogCaptureFixture
) -> None:
    """Operators audit answers without a key by this line."""
    caplog.set_level("INFO")
    settings, sender = process.settings, TokenSender("127.0.0.1", "A phone")
    for transaction, logged in ((rolled_back, 0), (unit_of_work, 1)):
        async with transaction(sessions) as own:
            action = await open_action(own, new_token("allow"), settings.secret_keys, settings.action_tokens)
            answered = await answer_action(own, action, ActionIn(), sender, process)
        assert answered.get("repeated", False) is False
        assert caplog.text.count("question.answered_by_token") == logged


async def other_notification(session: AsyncSession) -> Any:
    """Copy the notification, as if it had gone to another device; return the copy's id."""
    row = (await session.execute(select(*Notification.__table__.columns))).mappings().one()
    owner = await session.get_one(User, row["user_id"])
    device = await make_device(session, user=owner)
    copy = Notification(**{**row, "id": new_id(), "device_id": device.id})
    session.add(copy)
    await session.flush()
    return copy.id
