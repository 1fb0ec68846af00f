"""The inbox (contract 15.1): which questions it holds, in which order, and how many are open."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import AnswerVia, QuestionKind, QuestionStatus, Urgency
from app.models import Membership, Project, Question, Run, Task, User
from tests.contract.inbox.conftest import INBOX
from tests.support.assertions import assert_invalid, assert_not_authenticated, concerning
from tests.support.callers import CallerKind, bearer
from tests.support.clock import MovableClock, wire_time
from tests.support.factories import make_key, make_project, make_run, make_task, make_user
from tests.support.questions import OPTIONS, make_question
from tests.support.web.clients import in_process_client


async def inbox(client: httpx.AsyncClient, query: str = "") -> dict[str, Any]:
    response = await client.get(f"{INBOX}/{query}")
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    assert list(body) == ["count", "next", "previous", "results", "open_count"]
    return body


async def ids(client: httpx.AsyncClient, query: str = "") -> list[str]:
    return [row["id"] for row in (await inbox(client, query))["results"]]


async def member_client(application: FastAPI, session: AsyncSession, user: User) -> httpx.AsyncClient:
    return in_process_client(application, headers=bearer(await make_key(session, user=user)))


async def test_fields_of_a_form_stay_in_the_order_of_the_agent(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, run: Run
) -> None:
    properties = {name: {"type": "string"} for name in ("name", "a_longer_name", "port")}
    schema = {"type": "object", "properties": properties}
    await make_question(session, task=task, run=run, kind=QuestionKind.FORM, schema=schema)
    [row] = (await inbox(client))["results"]
    assert list(row["schema"]["properties"]) == ["name", "a_longer_name", "port"]


async def test_row_says_all_that_is_asked(
    client: httpx.AsyncClient,
    session: AsyncSession,
    project: Project,
    task: Task,
    run: Run,
    clock: MovableClock,
) -> None:
    expires_at = clock.now + timedelta(minutes=5)
    question = await make_question(session, task=task, run=run, expires_at=expires_at)
    [row] = (await inbox(client))["results"]
    assert row == {
        "id": str(question.id),
        "kind": "permission",
        "status": "open",
        "urgency": "normal",
        "risk": "normal",
        "digest": question.digest.hex(),
        "title": "Run `make deploy`",
        "detail": "make deploy",
        "options": OPTIONS,
        "schema": None,
        "link": None,
        "link_host": None,
        "task": {
            "id": str(task.id),
            "title": "Fix the login page",
            "slug": f"TES-{task.task_number}",
            "repository": None,
        },
        "run": {"id": str(run.id), "status": "in_progress"},
        "project_id": project.id,
        "opened_at": wire_time(clock),
        "expires_at": expires_at.isoformat().replace("+00:00", "Z"),
        "snoozed_until": None,
        "answer": None,
        "answered_by": None,
        "answered_via": None,
        "answered_at": None,
        "allowed_actions": ["answer", "snooze", "mute"],
        "url": f"/api/projects/{project.id}/tasks/{task.id}/",
    }


async def test_missed_questions_are_those_that_expired_in_the_last_day(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, question: Question, clock: MovableClock
) -> None:
    """A question that counted as refused left the inbox without a word."""
    closed: dict[str, Any] = {"status": QuestionStatus.EXPIRED, "closed_at": clock.now - timedelta(hours=23)}
    missed = await make_question(session, task=task, **closed)
    await make_question(session, task=task, **closed, kind=QuestionKind.MESSAGE)
    await make_question(session, task=task, **closed | {"closed_at": clock.now - timedelta(hours=25)})
    await make_question(session, task=task, **closed | {"status": QuestionStatus.WITHDRAWN})
    page = await inbox(client, "?status=missed")
    assert (page["count"], page["open_count"], [row["id"] for row in page["results"]]) == (
        1,
        1,
        [str(missed.id)],
    )
    assert await ids(client) == [str(question.id)]


async def test_closed_question_says_who_answered_what_and_takes_nothing(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, owner: User, clock: MovableClock
) -> None:
    await make_question(
        session,
        task=task,
        status=QuestionStatus.ANSWERED,
        closed_at=clock.now,
        answer={"option_id": "reject"},
        answered_by_id=owner.id,
        answered_via=AnswerVia.CONSOLE,
    )
    assert (await inbox(client))["count"] == 0
    [row] = (await inbox(client, "?status=all"))["results"]
    assert (row["answer"], row["answered_via"]) == ({"option_id": "reject"}, "console")
    assert (row["answered_by"]["id"], row["answered_at"]) == (owner.id, wire_time(clock))
    assert row["allowed_actions"] == []


async def test_questions_of_a_run_are_its_own_the_newest_first(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, run: Run, owner: User, clock: MovableClock
) -> None:
    """Contract 15.13: as in the inbox, with who answered."""
    answered = {"answer": {"option_id": "allow"}, "answered_by_id": owner.id, "answered_via": AnswerVia.CLI}
    closed = {"closed_at": clock.now, "status": QuestionStatus.ANSWERED}
    await make_question(session, task=task, run=run, **answered, **closed)
    clock.advance(seconds=1)
    await make_question(session, task=task, run=run, **closed | {"status": QuestionStatus.EXPIRED})
    clock.advance(seconds=1)
    await make_question(session, task=task, run=run)
    await make_question(session, task=task, run=await make_run(session, task=task))

    response = await client.get(f"/api/projects/{task.project_id}/tasks/{task.id}/runs/{run.id}/questions/")

    results = response.json()["results"]
    assert [row["status"] for row in results] == ["open", "expired", "answered"]
    assert [row["answered_by"] and row["answered_by"]["id"] for row in results] == [None, None, owner.id]
    assert results[2] == (await inbox(client, "?status=all"))["results"][0]


async def test_most_urgent_comes_first_then_the_oldest(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, run: Run
) -> None:
    now = utcnow()
    places = {}
    for urgency in (Urgency.LOW, Urgency.HIGH, Urgency.NORMAL):
        for age in (1, 3, 2):
            row = await make_question(
                session, task=task, run=run, urgency=urgency, opened_at=now - timedelta(minutes=age)
            )
            places[str(row.id)] = (["high", "normal", "low"].index(urgency), -age)
    ordered = sorted(places, key=lambda id_: places[id_])
    assert await ids(client) == ordered
    assert await ids(client, "?limit=4&offset=3") == ordered[3:7]
    page = await inbox(client, "?limit=4&offset=4&kind=permission")
    assert (page["count"], page["open_count"]) == (9, 9)
    assert page["next"].endswith("/api/users/@me/inbox/?kind=permission&limit=4&offset=8")
    assert page["previous"].endswith("/api/users/@me/inbox/?kind=permission&limit=4")


async def test_page_behind_the_last_one_is_empty_and_knows_the_count(
    client: httpx.AsyncClient, question: Question
) -> None:
    page = await inbox(client, "?offset=5")
    assert (page["count"], page["open_count"], page["results"]) == (1, 1, [])
    assert question.status == "open"


async def test_filters_leave_the_badge_as_it_is(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, run: Run, owner: User
) -> None:
    elsewhere = await make_project(session)
    session.add(Membership(user_id=owner.id, project_id=elsewhere.id, created_at=utcnow()))
    await session.flush()
    other = await make_task(session, project=elsewhere, created_by=owner)
    rows = {
        kind: str((await make_question(session, task=task, run=run, kind=kind)).id) for kind in QuestionKind
    }
    far = str((await make_question(session, task=other)).id)
    closed = await make_question(session, task=task, run=run, status=QuestionStatus.EXPIRED)
    cases = {
        "": {*rows.values(), far},
        "?status=open": {*rows.values(), far},
        "?status=all": {*rows.values(), far, str(closed.id)},
        f"?project_id={elsewhere.id}": {far},
        f"?project_id={task.project_id}&kind=permission": {rows[QuestionKind.PERMISSION]},
        **{f"?kind={kind}": {id_} for kind, id_ in rows.items() if kind != QuestionKind.PERMISSION},
        "?kind=&project_id=&status=": {*rows.values(), far},
    }
    for query, expected in cases.items():
        page = await inbox(client, query)
        with concerning(query):
            assert {row["id"] for row in page["results"]} == expected
            # Messages are not counted: four kinds here, and one in the other project.
            assert (page["count"], page["open_count"]) == (len(expected), 5)


@pytest.mark.parametrize(
    ("query", "attr", "detail"),
    [
        ("status=closed", "status", '"closed" is not a valid choice; choose from open, missed, all.'),
        (
            "kind=poll",
            "kind",
            '"poll" is not a valid choice; choose from permission, form, url, message, verdict.',
        ),
    ],
    ids=["15.1-status", "15.1-kind"],
)
async def test_unknown_choice_is_refused(
    client: httpx.AsyncClient, query: str, attr: str, detail: str
) -> None:
    assert_invalid(await client.get(f"{INBOX}/?{query}"), attr, "invalid_choice", detail)


async def test_without_a_key_it_is_401(anonymous: httpx.AsyncClient) -> None:
    assert_not_authenticated(await anonymous.get(f"{INBOX}/"), 401)


class TestRecipients:
    """The task's creator, and members who follow it and see it."""

    async def test_member_sees_questions_of_the_tasks_they_follow_only(
        self,
        application: FastAPI,
        session: AsyncSession,
        project: Project,
        colleague: User,
        owner: User,
    ) -> None:
        shared = await make_task(session, project=project, created_by=owner, origin_product="signals_scout")
        question = await make_question(session, task=shared)
        client = await member_client(application, session, colleague)
        follow = f"/api/projects/{project.id}/tasks/{shared.id}/follow/"
        assert (await inbox(client))["open_count"] == 0
        for _ in range(2):
            assert (await client.put(follow)).status_code == 204
        page = await inbox(client)
        assert (page["count"], page["open_count"]) == (1, 1)
        assert [row["id"] for row in page["results"]] == [str(question.id)]
        for _ in range(2):
            assert (await client.delete(follow)).status_code == 204
        assert (await inbox(client))["count"] == 0

    async def test_creator_sees_theirs_once_however_often_they_follow(
        self, client: httpx.AsyncClient, task_url: str, question: Question
    ) -> None:
        assert (await client.put(f"{task_url}/follow/")).status_code == 204
        page = await inbox(client)
        assert (page["count"], page["open_count"]) == (1, 1)
        assert (await client.delete(f"{task_url}/follow/")).status_code == 204
        assert await ids(client) == [str(question.id)]

    async def test_task_without_creator_is_in_the_inbox_of_followers(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, tasks_url: str
    ) -> None:
        task = await make_task(session, project=project, created_by=None)
        question = await make_question(session, task=task)
        assert await ids(client) == []
        await client.put(f"{tasks_url}/{task.id}/follow/")
        assert await ids(client) == [str(question.id)]

    async def test_what_the_caller_cannot_see_is_not_there(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        tasks_url: str,
        colleague: User,
    ) -> None:
        """Questions that the caller followed before they lost sight of the task are not listed either."""
        private = await make_task(session, project=project, created_by=colleague)
        await make_question(session, task=private)
        assert (await client.put(f"{tasks_url}/{private.id}/follow/")).status_code == 404
        shared = await make_task(session, project=project, created_by=None)
        await make_question(session, task=shared)
        await client.put(f"{tasks_url}/{shared.id}/follow/")
        await session.execute(update(Task).where(Task.id == shared.id).values(created_by_id=colleague.id))
        assert (await inbox(client, "?status=all"))["count"] == 0

    async def test_questions_of_a_deleted_task_are_withdrawn(
        self, client: httpx.AsyncClient, session: AsyncSession, task_url: str, question: Question
    ) -> None:
        """Finding: the badge counted what no person could answer any more."""
        assert (await client.delete(task_url)).status_code == 204
        page = await inbox(client, "?status=all")
        assert (page["count"], page["open_count"], page["results"]) == (0, 0, [])
        status = select(Question.status).where(Question.id == question.id)
        assert (await session.execute(status)).scalar_one() == "withdrawn"

    async def test_former_member_has_nothing_of_the_project(
        self, client: httpx.AsyncClient, session: AsyncSession, owner: User, question: Question
    ) -> None:
        await session.execute(delete(Membership).where(Membership.user_id == owner.id))
        page = await inbox(client, "?status=all")
        assert (page["count"], page["open_count"], page["results"]) == (0, 0, [])
        assert question.status == "open"

    async def test_limited_key_shows_its_projects_only(
        self,
        anonymous: httpx.AsyncClient,
        session: AsyncSession,
        owner: User,
        project: Project,
        question: Question,
    ) -> None:
        other = await make_project(session)
        for limits, count in (
            ({"projects": [project.id]}, 1),
            ({"projects": [other.id]}, 0),
            ({"organizations": [project.organization_id]}, 1),
            ({"organizations": [other.organization_id]}, 0),
        ):
            key = await make_key(session, user=owner, **limits)
            page = (await anonymous.get(f"{INBOX}/", headers=bearer(key))).json()
            with concerning(limits):
                assert (page["count"], page["open_count"], len(page["results"])) == (count, count, count)
        assert question.status == "open"

    @pytest.mark.caller(CallerKind.READ_ONLY)
    async def test_key_that_may_only_read_is_offered_no_action(
        self, client: httpx.AsyncClient, question: Question
    ) -> None:
        [row] = (await inbox(client))["results"]
        assert (row["id"], row["allowed_actions"]) == (str(question.id), [])


async def test_user_that_is_in_two_projects_sees_both(
    application: FastAPI, session: AsyncSession, project: Project
) -> None:
    other = await make_project(session, name="Elsewhere")
    user = await make_user(session, projects=[project, other])
    rows = set()
    for each in (project, other):
        task = await make_task(session, project=each, created_by=user)
        rows.add(str((await make_question(session, task=task)).id))
    client = await member_client(application, session, user)
    page = await inbox(client)
    assert {row["id"] for row in page["results"]} == rows
    assert {row["task"]["slug"][:3] for row in page["results"]} == {"TES", "ELS"}
