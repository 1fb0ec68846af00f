"""The page of an action token (contract 15.7): answer in a browser, with no other credential."""

import html
import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import QuestionKind, QuestionRisk, QuestionStatus
from app.models import Project, Question, Run, RunCommand, Task, User
from tests.contract.inbox.conftest import MintToken
from tests.contract.inbox.test_answer_acceptance import FORM
from tests.contract.inbox.test_token_answers import assert_private, press, signed_in, state
from tests.support.clock import MovableClock
from tests.support.factories import make_key, make_user
from tests.support.questions import of_status

JSON = dict[str, Any]


class TestPage:
    async def test_looking_at_it_never_acts(
        self, anonymous: httpx.AsyncClient, session: AsyncSession, clock: MovableClock, new_token: MintToken
    ) -> None:
        """Acceptance 2: a scanner follows the link a hundred times."""
        token = new_token("allow")
        for number in range(100):
            if number % 50 == 0:
                clock.advance(minutes=1)
            assert (await anonymous.get(f"/a/{token}")).status_code == 200
        assert (await anonymous.head(f"/a/{token}")).status_code == 200
        assert await state(session) == ("open", 0)

    async def test_it_shows_all_of_the_question_and_loads_nothing(
        self, anonymous: httpx.AsyncClient, new_token: MintToken
    ) -> None:
        response = await anonymous.get(f"/a/{new_token()}")
        assert_private(response)
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert policy.endswith("; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
        page = response.text
        for text in (
            "Run `make deploy`",
            "make deploy",
            "Fix the login page",
            "Allow once",
            "Always allow",
            "Reject",
        ):
            assert text in page
        assert page.index('value="reject"') < page.index('value="allow"') < page.index('value="always"')
        assert "<script" not in page
        assert "://" not in page

    async def test_only_one_answer_looks_like_the_main_one(
        self, anonymous: httpx.AsyncClient, session: AsyncSession, new_token: MintToken
    ) -> None:
        """An agent asks with the options yes, maybe and no: both of the first are of the kind `allow_once`."""
        kinds = {"no": "reject_once", "yes": "allow_once", "maybe": "allow_once"}
        options = [{"id": id_, "name": id_, "kind": kind} for id_, kind in kinds.items()]
        await session.execute(update(Question).values(options=options))
        page = (await anonymous.get(f"/a/{new_token()}")).text
        buttons = re.findall(r'<button class="([^"]*)" name="option_id" value="(\w+)"', page)
        assert buttons == [("reject", "no"), ("allow", "yes"), ("more ", "maybe")]

    @pytest.mark.parametrize(
        ("seconds", "left"),
        [(-60, "a minute"), (80, "a minute"), (119, "2 minutes"), (7100, "118 minutes"), (7200, "2 hours")],
    )
    async def test_it_says_how_long_an_answer_counts(
        self,
        anonymous: httpx.AsyncClient,
        session: AsyncSession,
        clock: MovableClock,
        new_token: MintToken,
        seconds: int,
        left: str,
    ) -> None:
        until = clock.now + timedelta(seconds=seconds)
        await session.execute(update(Question).values(expires_at=until))
        page = (await anonymous.get(f"/a/{new_token()}")).text
        assert f"{until.day} {until:%b %Y, %H:%M} UTC, {left} left" in page

    async def test_it_offers_what_its_token_takes(
        self, anonymous: httpx.AsyncClient, session: AsyncSession, new_token: MintToken
    ) -> None:
        token = new_token("allow")
        page = (await anonymous.get(f"/a/{token}")).text
        assert 'value="reject"' in page
        assert 'value="allow"' in page
        assert 'value="always"' not in page
        assert "more answers than this link takes" in page
        assert "more answers than this link takes" not in (await anonymous.get(f"/a/{new_token()}")).text
        assert (await press(anonymous, token, ("option_id", "reject"))).status_code == 303
        assert await state(session) == ("answered", 1)

    async def test_button_answers_and_leads_back_to_the_page(
        self, anonymous: httpx.AsyncClient, session: AsyncSession, owner: User, new_token: MintToken
    ) -> None:
        """B.11 9."""
        token = new_token()
        pressed = await press(anonymous, token, ("option_id", "always"))
        assert (pressed.status_code, pressed.headers["location"]) == (303, f"/a/{token}")
        assert_private(pressed)
        assert await state(session) == ("answered", 1)
        page = (await anonymous.get(f"/a/{token}")).text
        assert "Always allow" in page
        assert f"Answered by {owner.first_name} {owner.last_name} through a notification" in page
        assert "<form" not in page

    async def test_late_button_leads_to_the_answer_that_counts(
        self,
        anonymous: httpx.AsyncClient,
        client: httpx.AsyncClient,
        session: AsyncSession,
        answer_url: str,
        new_token: MintToken,
    ) -> None:
        await client.post(answer_url, json={"option_id": "reject"})
        pressed = await press(anonymous, new_token(), ("option_id", "allow"))
        assert pressed.status_code == 303
        assert "Reject" in (await anonymous.get(pressed.headers["location"])).text
        assert await state(session) == ("answered", 1)

    async def test_risky_question_needs_a_key_of_its_person(
        self,
        anonymous: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        owner: User,
        new_token: MintToken,
    ) -> None:
        """B.11 8."""
        await session.execute(update(Question).values(risk=QuestionRisk.HIGH))
        token, allow = new_token(), ("option_id", "allow")
        page = (await anonymous.get(f"/a/{token}")).text
        assert "High risk" in page
        assert 'name="key"' in page
        stranger = await make_user(session, projects=[project])
        for key in (
            "",
            "phx_wrong",
            await make_key(session, user=stranger),
            await make_key(session, user=owner, scopes=["task:read"]),
        ):
            refused = await press(anonymous, token, allow, ("key", key))
            assert refused.status_code == 403
            assert "needs a key" in refused.text
            assert key not in refused.text or not key
            assert await state(session) == ("open", 0)
        good = await make_key(session, user=owner, scopes=["task:write"])
        assert (await press(anonymous, token, allow, ("key", good))).status_code == 303
        assert await state(session) == ("answered", 1)

    async def test_high_risk_takes_the_session_of_the_same_person_from_its_own_page(
        self,
        anonymous: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        owner: User,
        new_token: MintToken,
    ) -> None:
        """B.11 8."""
        await session.execute(update(Question).values(risk=QuestionRisk.HIGH))
        token, allow = new_token(), ("option_id", "allow")
        stranger = await make_user(session, projects=[project])
        for user, scopes in ((stranger, ["task:write"]), (owner, ["task:read"])):
            async with signed_in(anonymous, await make_key(session, user=user, scopes=scopes)):
                assert 'name="key"' in (await anonymous.get(f"/a/{token}")).text
                assert (await press(anonymous, token, allow)).status_code == 403
        async with signed_in(anonymous, await make_key(session, user=owner, scopes=["task:write"])):
            assert 'name="key"' not in (await anonymous.get(f"/a/{token}")).text
            refused = await press(anonymous, token, allow, site="cross-site")
            assert refused.status_code == 403
            assert await state(session) == ("open", 0)
            assert (await press(anonymous, token, allow)).status_code == 303
        assert await state(session) == ("answered", 1)

    @pytest.mark.parametrize("status", [QuestionStatus.EXPIRED, QuestionStatus.WITHDRAWN])
    async def test_closed_question_says_so_and_has_no_button(
        self,
        anonymous: httpx.AsyncClient,
        session: AsyncSession,
        new_token: MintToken,
        status: QuestionStatus,
    ) -> None:
        await session.execute(update(Question).values(of_status(status)))
        page = await anonymous.get(f"/a/{new_token()}")
        assert page.status_code == 200
        assert {"expired": "has expired", "withdrawn": "was withdrawn"}[status] in page.text
        assert "<button" not in page.text

    async def test_link_that_opens_nothing_is_a_page_too(self, anonymous: httpx.AsyncClient) -> None:
        for response in (
            await anonymous.get("/a/tba_x"),
            await press(anonymous, "tba_x", ("option_id", "a")),
        ):
            assert response.status_code == 404
            assert "This link is not valid" in response.text
            assert_private(response)

    async def test_form_of_an_agent_is_filled_in_without_a_script(
        self,
        anonymous: httpx.AsyncClient,
        session: AsyncSession,
        question: Question,
        new_token: MintToken,
    ) -> None:
        await session.execute(update(Question).values(kind=QuestionKind.FORM, options=[], schema=FORM))
        token = new_token()
        page = (await anonymous.get(f"/a/{token}")).text
        assert page.count('type="radio"') == 2
        assert page.count('type="checkbox"') == 2
        wrong = await press(anonymous, token, ("action", "accept"), ("content.count", "none"))
        assert wrong.status_code == 400
        assert "Back to the question" in wrong.text
        sent = [
            ("action", "accept"),
            ("content.colour", "blue"),
            ("content.sizes", "s"),
            ("content.sizes", "m"),
            ("content.count", "2"),
            ("content.word", ""),
        ]
        assert (await press(anonymous, token, *sent)).status_code == 303
        content = {"colour": "blue", "sizes": ["s", "m"], "count": 2}
        params = (await session.execute(select(RunCommand.params))).scalar_one()
        assert params == {"request_id": question.request_id, "action": "accept", "content": content}
        assert "Accepted" in (await anonymous.get(f"/a/{token}")).text

    async def test_form_is_shown_with_all_that_it_asks(
        self, anonymous: httpx.AsyncClient, session: AsyncSession, new_token: MintToken
    ) -> None:
        """The page left choices out beyond the first hundred, and did not say so."""
        names = [str(number) for number in range(450)]
        properties: JSON = {
            "many": {"type": "array", "items": {"enum": names}},
            "many_note": {"type": "string"},
            **{f"f{number}": {"type": "string"} for number in range(49)},
        }
        values = {"kind": QuestionKind.FORM, "options": [], "schema": {"properties": properties}}
        await session.execute(update(Question).values(values))
        token = new_token()
        page = (await anonymous.get(f"/a/{token}")).text
        assert (page.count('type="checkbox"'), page.count('type="text"')) == (450, 50)
        sent = [
            *(("content.many", name) for name in names),
            ("content.many_note", "all"),
            ("action", "accept"),
        ]
        assert (await press(anonymous, token, *sent)).status_code == 303
        params = (await session.execute(select(RunCommand.params))).scalar_one()
        assert params["content"] == {"many": names, "many_note": "all"}

    async def test_form_that_cannot_be_shown_says_so(
        self, anonymous: httpx.AsyncClient, session: AsyncSession, new_token: MintToken
    ) -> None:
        values = {"kind": QuestionKind.FORM, "options": [], "schema": {"properties": {"x": {"type": "zz"}}}}
        await session.execute(update(Question).values(values))
        page = await anonymous.get(f"/a/{new_token()}")
        assert page.status_code == 200
        assert "This form cannot be shown. You can only decline it." in page.text

    async def test_message_is_written_there(
        self, anonymous: httpx.AsyncClient, session: AsyncSession, new_token: MintToken
    ) -> None:
        await session.execute(update(Question).values(kind=QuestionKind.MESSAGE, options=[]))
        token = new_token()
        assert "<textarea" in (await anonymous.get(f"/a/{token}")).text
        sent = ("text", "Prüfe die Tests.\r\nDann weiter.")
        assert (await press(anonymous, token, sent, ("way", "text"))).status_code == 303
        params = (await session.execute(select(RunCommand.params))).scalar_one()
        assert params["content"] == sent[1]

    @pytest.mark.parametrize(
        ("url", "is_offered"),
        [
            ("https://accounts.example.com/login?state=1", True),
            ("http://accounts.example.com/login", False),
            ("javascript:alert(1)", False),
        ],
    )
    async def test_page_to_open_shows_its_host_and_is_a_link_only_if_it_is_safe(
        self,
        anonymous: httpx.AsyncClient,
        session: AsyncSession,
        new_token: MintToken,
        url: str,
        *,
        is_offered: bool,
    ) -> None:
        await session.execute(update(Question).values(kind=QuestionKind.URL, options=[], url=url))
        page = (await anonymous.get(f"/a/{new_token()}")).text
        assert html.escape(url) in page
        assert (f'href="{html.escape(url)}" rel="noopener noreferrer nofollow"' in page) is is_offered
        assert ("accounts.example.com</strong>" in page) is ("example" in url)

    async def test_what_an_agent_says_is_text(
        self, anonymous: httpx.AsyncClient, session: AsyncSession, run: Run, new_token: MintToken
    ) -> None:
        hostile = "</pre><script>alert(1)</script>\" onload='x' \u202egnp.exe\u202c \u200bend"
        option = {"id": '"><img src=x>', "name": hostile, "kind": "allow_once"}
        values = {"title": hostile, "detail": hostile, "options": [option]}
        await session.execute(update(Question).values(values))
        await session.execute(update(Task).where(Task.id == run.task_id).values(title=hostile))
        page = (await anonymous.get(f"/a/{new_token()}")).text
        for forbidden in ("<script", "<img", "\u202e", "\u200b", " onload='"):
            assert forbidden not in page
        assert page.count("&lt;script&gt;") >= 4
        assert "⟨U+202E⟩gnp.exe⟨U+202C⟩" in page
        # Whatever the agent calls it, the page says what it does.
        assert "Allow once" in page
        assert (await press(anonymous, new_token(), ("option_id", option["id"]))).status_code == 303

    async def test_other_content_types_are_refused(
        self, anonymous: httpx.AsyncClient, session: AsyncSession, new_token: MintToken
    ) -> None:
        response = await anonymous.post(f"/a/{new_token()}", json={"option_id": "allow"})
        assert response.status_code == 415
        assert await state(session) == ("open", 0)
