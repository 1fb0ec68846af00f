"""A snoozed question (contract 15.2): it stays open, and its person hears nothing of it until then."""

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import QuestionStatus
from app.models import Project, Question, User
from tests.contract.inbox.test_answer_acceptance import JSON, NO_WINNER, assert_settled
from tests.support.assertions import assert_invalid
from tests.support.clock import MovableClock
from tests.support.factories import make_task
from tests.support.questions import make_question, of_status


class TestSnooze:
    @pytest.fixture
    def url(self, answer_url: str) -> str:
        return answer_url.replace("/answer/", "/snooze/")

    async def test_it_is_shown_and_hides_nothing(
        self, client: httpx.AsyncClient, clock: MovableClock, url: str
    ) -> None:
        """B.11 14."""
        later = clock.now + timedelta(seconds=60)
        bodies = ({"seconds": 60}, {"until": later.isoformat()})
        first, row = [(await client.post(url, json=body)).json() for body in bodies]
        assert first == row
        assert row["snoozed_until"] == later.isoformat().replace("+00:00", "Z")
        assert (row["status"], row["allowed_actions"]) == ("open", ["answer", "snooze", "mute"])
        listed = (await client.get("/api/users/@me/inbox/")).json()
        assert (listed["results"], listed["open_count"]) == ([row], 1)

    @pytest.mark.parametrize(
        ("body", "attr", "code"),
        [
            ({}, None, "invalid_input"),
            ({"seconds": 1, "until": "2026-03-01T11:00:00Z"}, None, "invalid_input"),
            ({"seconds": 0}, "seconds", "min_value"),
            ({"seconds": 86_401}, "seconds", "max_value"),
            ({"until": "2026-03-01T10:00:00Z"}, "until", "invalid_input"),
            ({"until": "2026-03-02T10:00:01Z"}, "until", "invalid_input"),
            ({"until": "soon"}, "until", "invalid_input"),
        ],
        ids=str,
    )
    @pytest.mark.usefixtures("clock")
    async def test_time_outside_of_the_bounds_is_refused(
        self, client: httpx.AsyncClient, url: str, body: JSON, attr: str | None, code: str
    ) -> None:
        """The clock of the test is at 10:00."""
        assert_invalid(await client.post(url, json=body), attr, code)

    async def test_a_day_is_the_most(self, client: httpx.AsyncClient, clock: MovableClock, url: str) -> None:
        for body in ({"seconds": 86_400}, {"until": (clock.now + timedelta(days=1)).isoformat()}):
            assert (await client.post(url, json=body)).status_code == 200

    async def test_closed_question_is_gone(
        self, client: httpx.AsyncClient, session: AsyncSession, url: str
    ) -> None:
        await session.execute(update(Question).values(of_status(QuestionStatus.WITHDRAWN)))
        assert_settled(await client.post(url, json={"seconds": 60}), 410, "question_closed", NO_WINNER)

    async def test_it_is_the_callers_alone(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        owner: User,
        colleagues_client: httpx.AsyncClient,
        questions_url: str,
    ) -> None:
        task = await make_task(session, project=project, created_by=owner, origin_product="signals_scout")
        question = await make_question(session, task=task)
        await colleagues_client.post(f"{questions_url}/{question.id}/snooze/", json={"seconds": 60})
        listed = (await client.get("/api/users/@me/inbox/")).json()["results"]
        assert [row["snoozed_until"] for row in listed] == [None]
