"""What becomes of work that is not verified: the question in the inbox, its answers and its end (contract 15.14)."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.db import SessionFactory
from app.enums import CheckStatus, NotificationKind, QuestionStatus, Verdict
from app.models import Event, Project, PushToken, Question, Run, RunCommand, Task, User
from app.runtime import ProcessContext
from app.services.access.usage_gates import Limit
from app.services.notifications.action_tokens import ActionClaims, mint
from tests.contract.inbox.conftest import INBOX
from tests.contract.inbox.test_answer_acceptance import NO_WINNER, assert_settled
from tests.contract.inbox.test_token_answers import press
from tests.support.assertions import assert_invalid, assert_not_found, concerning
from tests.support.callers import bearer
from tests.support.devices import make_pending
from tests.support.factories import make_key, make_run
from tests.support.stand_ins.fakes import ScriptedGate
from tests.support.verification import end_checked, make_verified_run, shown_verdict

JSON = dict[str, Any]
End = Callable[..., Awaitable[Run]]

PASSED, FAILED, TIMEOUT = CheckStatus.PASSED, CheckStatus.FAILED, CheckStatus.TIMEOUT
REFUTED = shown_verdict(Verdict.REFUTED, FAILED, PASSED, FAILED)
INCONCLUSIVE = shown_verdict(Verdict.INCONCLUSIVE, TIMEOUT)
OPTIONS = [
    {"id": "send_back", "name": "Send back", "kind": "send_back"},
    {"id": "waive", "name": "Waive", "kind": "waive"},
]
WAIVE = {"option_id": "waive", "custom_input": "The test is wrong."}


@pytest.fixture
def end(session: AsyncSession, sessions: SessionFactory, task: Task) -> End:
    """End a new run of the task with this verification."""

    async def end(result: JSON = REFUTED, *, before: Callable[[Run], Awaitable[Any]] | None = None) -> Run:
        run = await make_verified_run(session, task=task)
        if before is not None:
            await before(run)
        await end_checked(sessions, run, result)
        return run

    return end


async def rows(client: httpx.AsyncClient, query: str = "?status=all&kind=verdict") -> list[JSON]:
    response = await client.get(f"{INBOX}/{query}")
    assert response.status_code == 200, response.text
    found: list[JSON] = response.json()["results"]
    return found


async def statuses(client: httpx.AsyncClient) -> list[str]:
    return [row["status"] for row in await rows(client)]


async def types_of(session: AsyncSession, run: Run) -> list[str]:
    events = select(Event.type).where(Event.run_id == run.id).order_by(Event.subject_seq)
    return list(await session.scalars(events))


@pytest.fixture
def answer(client: httpx.AsyncClient, project: Project) -> Callable[..., Awaitable[httpx.Response]]:
    """Answer the only question about a verdict."""

    async def answer(**body: Any) -> httpx.Response:
        [row] = await rows(client)
        return await client.post(f"/api/projects/{project.id}/questions/{row['id']}/answer", json=body)

    return answer


class TestOpening:
    async def test_run_that_ends_as_refuted_asks(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, task: Task, end: End
    ) -> None:
        run = await end()
        [row] = await rows(client)
        assert (
            row.items()
            >= {
                "kind": "verdict",
                "status": "open",
                "urgency": "normal",
                "risk": "normal",
                "title": "2 checks fail",
                "detail": "check-1: check failed\ncheck-3: check failed",
                "options": OPTIONS,
                "schema": None,
                "expires_at": None,
                "allowed_actions": ["answer", "snooze", "mute"],
                "url": f"/api/projects/{project.id}/tasks/{task.id}/",
            }.items()
        )
        assert row["run"] == {"id": str(run.id), "status": "completed"}
        assert (await client.get(f"{INBOX}/")).json()["open_count"] == 1
        assert (await types_of(session, run))[-3:] == [
            "verification.finished",
            "run.completed",
            "question.opened",
        ]
        opened = select(Event.data).where(Event.run_id == run.id, Event.type == "question.opened")
        assert await session.scalar(opened) == {
            "question_id": row["id"],
            "kind": "verdict",
            "urgency": "normal",
        }
        shown = (await client.get(f"/api/projects/{project.id}/tasks/{task.id}/runs/{run.id}")).json()
        assert "waiting_for" not in shown["state"]

    async def test_inconclusive_one_asks_less_urgently(self, client: httpx.AsyncClient, end: End) -> None:
        await end(INCONCLUSIVE)
        [row] = await rows(client)
        assert (row["title"], row["urgency"]) == ("Checks inconclusive", "low")
        assert row["detail"] == "check-1: check timeout"

    @pytest.mark.parametrize(
        "result",
        [
            shown_verdict(Verdict.VERIFIED, PASSED),
            shown_verdict(Verdict.CLAIMED, reason="none_applicable"),
            REFUTED | {"waived": True},
        ],
        ids=["verified", "claimed", "waived"],
    )
    async def test_other_ends_ask_nothing(self, client: httpx.AsyncClient, end: End, result: JSON) -> None:
        await end(result)
        assert await rows(client) == []

    async def test_run_that_is_cancelled_or_not_checked_asks_nothing(
        self, client: httpx.AsyncClient, session: AsyncSession, task: Task, task_url: str
    ) -> None:
        for body in ({"method": "cancel"}, {"method": "skip_verification"}):
            run = await make_verified_run(session, task=task)
            response = await client.post(f"{task_url}/runs/{run.id}/command", json={"jsonrpc": "2.0", **body})
            assert response.status_code == 200, response.text
        assert await rows(client) == []

    async def test_only_the_latest_run_of_a_task_asks(
        self, client: httpx.AsyncClient, session: AsyncSession, task: Task, end: End
    ) -> None:
        async def be_followed(_run: Run) -> None:
            await make_run(session, task=task)

        await end(before=be_followed)
        assert await rows(client) == []

    async def test_task_that_was_put_away_asks_nothing(
        self, client: httpx.AsyncClient, task_url: str, end: End
    ) -> None:
        async def put_away(_run: Run) -> None:
            assert (await client.patch(task_url, json={"archived": True})).status_code == 200

        await end(before=put_away)
        assert await rows(client) == []


Answer = Callable[..., Awaitable[httpx.Response]]


class TestSendBack:
    async def test_starts_a_run_that_goes_on_and_is_told_why(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        task_url: str,
        end: End,
        answer: Answer,
        owner: User,
    ) -> None:
        run = await end()
        response = await answer(option_id="send_back", custom_input="Look at the docs, too.")
        assert response.status_code == 200, response.text
        body = response.json()
        assert (body["status"], body["delivery"], body["answered_via"]) == ("answered", None, "api")
        assert body["answered_by"]["id"] == owner.id
        assert body["answer"] == {"option_id": "send_back", "custom_input": "Look at the docs, too."}
        started = (await client.get(f"{task_url}/runs/{body['run_id']}")).json()
        assert (started["status"], started["environment"]) == ("queued", "cloud")
        assert started["state"]["resume_from_run_id"] == str(run.id)
        message = started["state"]["pending_user_message"]
        assert message.startswith("The checks of this run do not pass (attempt 1 of 1).\n\nCheck check-1\n")
        assert "| the end of its output" in message
        assert message.endswith("\n\nLook at the docs, too.")
        assert (await session.scalars(select(RunCommand))).all() == []
        assert (await types_of(session, run))[-1] == "question.answered"
        data = await session.scalar(select(Event.data).where(Event.type == "question.answered"))
        assert data is not None
        assert (data["kind"], data["option_kind"], data["via"]) == ("verdict", "send_back", "api")

    async def test_same_answer_again_names_the_same_run(
        self, client: httpx.AsyncClient, task_url: str, end: End, answer: Answer
    ) -> None:
        await end()
        first = (await answer(option_id="send_back")).json()
        again = await answer(option_id="send_back")
        assert (again.status_code, again.json()) == (200, {**first, "repeated": True})
        assert_settled(
            await answer(**WAIVE), 409, "already_answered", {name: first[name] for name in NO_WINNER}
        )
        assert (await client.get(f"{task_url}/runs")).json()["count"] == 2

    async def test_inconclusive_result_is_said_to_be_so(
        self, client: httpx.AsyncClient, task_url: str, end: End, answer: Answer
    ) -> None:
        await end(INCONCLUSIVE)
        run_id = (await answer(option_id="send_back")).json()["run_id"]
        message = (await client.get(f"{task_url}/runs/{run_id}")).json()["state"]["pending_user_message"]
        assert message.startswith(
            "The checks of this run are inconclusive (attempt 1 of 1).\n\nCheck check-1\ncheck timeout\n"
        )

    async def test_project_over_its_limit_is_refused_and_the_question_stays(
        self,
        client: httpx.AsyncClient,
        application: FastAPI,
        process: ProcessContext,
        session: AsyncSession,
        end: End,
        answer: Answer,
    ) -> None:
        run = await end()
        gate = ScriptedGate()
        gate.limit = Limit()
        application.state.process = replace(process, gates=[gate])
        refused = await answer(option_id="send_back")
        assert (refused.status_code, await statuses(client)) == (429, ["open"])
        assert (await answer(**WAIVE)).status_code == 200
        assert (await types_of(session, run))[-1] == "verification.updated"

    async def test_state_that_a_run_cannot_have_is_refused_and_the_question_stays(
        self, client: httpx.AsyncClient, session: AsyncSession, end: End, answer: Answer
    ) -> None:
        run = await end()
        state = {"mode": "background", "pr_authorship_mode": "user"}
        await session.execute(update(Run).where(Run.id == run.id).values(state=state))
        refused = await answer(option_id="send_back")
        assert (refused.status_code, await statuses(client)) == (400, ["open"])


class TestWaive:
    async def test_accepts_the_work(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        task_url: str,
        end: End,
        answer: Answer,
        owner: User,
    ) -> None:
        run = await end()
        response = await answer(**WAIVE)
        assert response.status_code == 200, response.text
        body = response.json()
        assert "run_id" not in body
        assert (body["answer"], body["delivery"]) == (WAIVE, None)
        verification = (await client.get(f"{task_url}/runs/{run.id}")).json()["verification"]
        assert (verification["verdict"], verification["waived"]) == ("refuted", True)
        [waiver] = verification["waivers"]
        assert (waiver["reason"], waiver["user"]["id"]) == (WAIVE["custom_input"], owner.id)
        assert (await types_of(session, run))[-2:] == ["question.answered", "verification.updated"]
        again = await answer(**WAIVE)
        assert (again.status_code, again.json()) == (200, {**body, "repeated": True})

    async def test_while_checks_run_again_there_is_nothing_to_waive(
        self, client: httpx.AsyncClient, task_url: str, end: End, answer: Answer
    ) -> None:
        run = await end()
        assert (await client.post(f"{task_url}/runs/{run.id}/verify")).status_code == 202
        refused = await answer(**WAIVE)
        assert (refused.status_code, refused.json()) == (400, {"error": "Nothing to waive"})
        assert await statuses(client) == ["open"]


@pytest.mark.parametrize(
    ("body", "attr", "code"),
    [
        ({"option_id": "waive"}, "custom_input", "required"),
        ({"option_id": "waive", "custom_input": "  "}, "custom_input", "required"),
        ({"option_id": "waive", "custom_input": "x" * 501}, "custom_input", "max_length"),
        ({"option_id": "allow"}, "option_id", "invalid_choice"),
        ({"action": "accept"}, "option_id", "invalid_input"),
        ({"text": "no"}, "option_id", "invalid_input"),
        ({"option_id": "send_back", "content": {}}, None, "invalid_input"),
    ],
)
async def test_answer_that_does_not_fit_is_refused(
    client: httpx.AsyncClient, end: End, answer: Answer, body: JSON, attr: str | None, code: str
) -> None:
    await end()
    assert_invalid(await answer(**body), attr, code)
    assert await statuses(client) == ["open"]


class TestWithdrawal:
    async def withdrawn(self, client: httpx.AsyncClient, answer: Answer) -> None:
        assert await statuses(client) == ["withdrawn"]
        assert (await client.get(f"{INBOX}/")).json()["open_count"] == 0
        assert_settled(await answer(option_id="send_back"), 410, "question_closed", NO_WINNER)

    async def test_by_a_waiver(
        self, client: httpx.AsyncClient, session: AsyncSession, task_url: str, end: End, answer: Answer
    ) -> None:
        run = await end()
        waived = await client.post(f"{task_url}/runs/{run.id}/verification/waive", json={"reason": "fine"})
        assert waived.status_code == 200
        await self.withdrawn(client, answer)
        assert (await types_of(session, run))[-1] == "question.withdrawn"

    @pytest.mark.parametrize("path", ["run", "runs"])
    async def test_by_a_newer_run(
        self, client: httpx.AsyncClient, task_url: str, end: End, answer: Answer, path: str
    ) -> None:
        await end()
        assert (await client.post(f"{task_url}/{path}", json={})).is_success
        await self.withdrawn(client, answer)

    async def test_by_the_run_itself_when_it_begins_again(
        self, client: httpx.AsyncClient, task_url: str, end: End, answer: Answer
    ) -> None:
        run = await end()
        assert (await client.post(f"{task_url}/runs/{run.id}/resume_in_cloud")).status_code == 200
        await self.withdrawn(client, answer)

    async def test_by_archiving(
        self, client: httpx.AsyncClient, tasks_url: str, task: Task, end: End
    ) -> None:
        ways: tuple[Callable[[], Awaitable[httpx.Response]], ...] = (
            lambda: client.patch(f"{tasks_url}/{task.id}", json={"archived": True}),
            lambda: client.post(f"{tasks_url}/bulk", json={"action": "archive", "ids": [str(task.id)]}),
        )
        for number, archive in enumerate(ways, 1):
            await client.patch(f"{tasks_url}/{task.id}", json={"archived": False})
            await end()
            assert (await statuses(client)).count("open") == 1
            assert (await archive()).status_code == 200
            assert await statuses(client) == ["withdrawn"] * number

    async def test_by_deleting(
        self, client: httpx.AsyncClient, session: AsyncSession, task_url: str, end: End
    ) -> None:
        await end()
        assert (await client.delete(task_url)).status_code == 204
        assert await rows(client) == []
        assert list(await session.scalars(select(Question.status))) == [QuestionStatus.WITHDRAWN]

    @pytest.mark.parametrize("verdict", [Verdict.VERIFIED, Verdict.CLAIMED])
    async def test_by_a_re_run_that_no_longer_doubts(
        self,
        client: httpx.AsyncClient,
        sessions: SessionFactory,
        task_url: str,
        end: End,
        answer: Answer,
        verdict: Verdict,
    ) -> None:
        run = await end()
        assert (await client.post(f"{task_url}/runs/{run.id}/verify")).status_code == 202
        assert await statuses(client) == ["open"]
        await end_checked(sessions, run, shown_verdict(verdict, PASSED, attempt=2))
        await self.withdrawn(client, answer)

    async def test_not_by_a_re_run_that_doubts_which_the_question_shows(
        self, client: httpx.AsyncClient, sessions: SessionFactory, task_url: str, end: End, answer: Answer
    ) -> None:
        run = await end()
        [before] = await rows(client)
        assert (await client.post(f"{task_url}/runs/{run.id}/verify")).status_code == 202
        await end_checked(sessions, run, shown_verdict(Verdict.REFUTED, FAILED, attempt=2))
        [after] = await rows(client)
        assert (after["id"], after["status"], after["title"]) == (before["id"], "open", "1 check fails")
        changed = await answer(option_id="send_back", digest=before["digest"])
        assert (changed.status_code, changed.json()["code"]) == (409, "question_changed")
        sent_back = await answer(option_id="send_back", digest=after["digest"])
        run_id = sent_back.json()["run_id"]
        state = (await client.get(f"{task_url}/runs/{run_id}")).json()["state"]
        assert "(attempt 2 of 2)" in state["pending_user_message"]

    async def test_not_by_a_re_run_that_is_cancelled(
        self, client: httpx.AsyncClient, task_url: str, end: End, answer: Answer
    ) -> None:
        run = await end()
        [before] = await rows(client)
        url = f"{task_url}/runs/{run.id}"
        assert (await client.post(f"{url}/verify")).status_code == 202
        assert (await client.post(f"{url}/cancel")).status_code == 202
        assert await rows(client) == [before]
        run_id = (await answer(option_id="send_back")).json()["run_id"]
        state = (await client.get(f"{task_url}/runs/{run_id}")).json()["state"]
        assert "Check check-1" in state["pending_user_message"], "of the attempt that has shown something"

    async def test_re_run_of_an_answered_one_asks_no_more(
        self, client: httpx.AsyncClient, sessions: SessionFactory, task_url: str, end: End, answer: Answer
    ) -> None:
        run = await end()
        assert (await answer(**WAIVE)).status_code == 200
        assert (await client.post(f"{task_url}/runs/{run.id}/verify")).status_code == 202
        await end_checked(sessions, run, shown_verdict(Verdict.REFUTED, FAILED, attempt=2))
        assert await statuses(client) == ["answered"]


async def test_followers_see_it_and_any_member_answers(
    anonymous: httpx.AsyncClient,
    session: AsyncSession,
    project: Project,
    task: Task,
    task_url: str,
    colleague: User,
    end: End,
) -> None:
    await session.execute(update(Task).where(Task.id == task.id).values(origin_product="signals_scout"))
    await end()
    headers = bearer(await make_key(session, user=colleague))
    assert (await anonymous.get(f"{INBOX}/", headers=headers)).json()["results"] == []
    assert (await anonymous.put(f"{task_url}/follow", headers=headers)).status_code == 204
    [row] = (await anonymous.get(f"{INBOX}/", headers=headers)).json()["results"]
    url = f"/api/projects/{project.id}/questions/{row['id']}/answer"
    response = await anonymous.post(url, json={"option_id": "send_back"}, headers=headers)
    assert response.json()["answered_by"]["id"] == colleague.id


async def test_key_that_may_not_write_is_refused(
    client: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    session: AsyncSession,
    project: Project,
    owner: User,
    colleague: User,
    end: End,
) -> None:
    await end()
    [row] = await rows(client)
    url = f"/api/projects/{project.id}/questions/{row['id']}/answer"
    reader = bearer(await make_key(session, user=owner, scopes=["task:read"]))
    [shown] = (await anonymous.get(f"{INBOX}/", headers=reader)).json()["results"]
    assert shown["allowed_actions"] == []
    assert (await anonymous.post(url, json=WAIVE, headers=reader)).status_code == 403
    # The owner's own tasks are not visible to others.
    other = bearer(await make_key(session, user=colleague))
    assert_not_found(await anonymous.post(url, json=WAIVE, headers=other))


async def test_request_with_a_key_is_performed_once(
    client: httpx.AsyncClient, project: Project, task_url: str, end: End
) -> None:
    await end()
    [row] = await rows(client)
    url = f"/api/projects/{project.id}/questions/{row['id']}/answer"
    sent = [
        await client.post(url, json={"option_id": "send_back"}, headers={"Idempotency-Key": "once"})
        for _ in range(2)
    ]
    assert sent[0].json() == sent[1].json()
    assert (await client.get(f"{task_url}/runs")).json()["count"] == 2


async def test_page_of_an_action_token_shows_and_answers_it(
    anonymous: httpx.AsyncClient,
    session: AsyncSession,
    settings: Settings,
    task: Task,
    device: PushToken,
    end: End,
) -> None:
    run = await end()
    question = await session.scalar(select(Question).where(Question.run_id == run.id))
    assert question is not None
    notice = await make_pending(
        session, task=task, device=device, run_id=run.id, kind=NotificationKind.COMPLETED
    )
    claims = ActionClaims(
        notification_id=notice.id, question_id=question.id, digest=question.digest, option=None
    )
    token = mint(settings.secret_keys, claims)
    page = await anonymous.get(f"/a/{token}")
    assert page.status_code == 200
    for text in ("2 checks fail", "Send back", "Waive", "not verified"):
        with concerning(text):
            assert text in page.text
    answered = await press(anonymous, token, ("option_id", "waive"), ("custom_input", "Known."))
    assert answered.status_code == 303
    assert "Waived" in (await anonymous.get(f"/a/{token}")).text
