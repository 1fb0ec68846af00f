"""The review of a run's changes by one person, on all their devices (contract 19.5)."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Project, Run, RunReview, Task, User
from tests.support.assertions import assert_error, assert_invalid, concerning
from tests.support.callers import bearer
from tests.support.factories import make_key, make_run, make_task, make_user
from tests.support.web.clients import in_process_client

JSON = dict[str, Any]

NOTHING = {"version": 0, "viewed": [], "comments": [], "updated_at": None, "earlier": []}
MARK = {"path": " a b.py", "hash": "9fceb0"}
COMMENT = {
    "id": "c1",
    "path": "a.py",
    "side": "new",
    "start_line": 3,
    "line": 5,
    "text": "Is this still needed?",
    "hash": None,
    "created_at": "2026-03-01T10:00:00Z",
    "message_id": None,
    "resolved": False,
}


@pytest.fixture
def url(task_url: str, run: Run) -> str:
    return f"{task_url}/runs/{run.id}/review"


async def put(client: httpx.AsyncClient, url: str, version: int, **lists: Any) -> httpx.Response:
    return await client.put(f"{url}/", json={"version": version, "viewed": [], "comments": []} | lists)


async def test_review_is_there_on_another_device(client: httpx.AsyncClient, url: str) -> None:
    first = await client.get(url)
    assert first.json() == NOTHING

    written = (await put(client, url, 0, viewed=[MARK], comments=[COMMENT])).json()
    sent = COMMENT | {"message_id": "m1"}

    assert (written["version"], written["viewed"], written["comments"]) == (1, [MARK], [COMMENT])
    read = await client.get(f"{url}/", headers={"If-None-Match": first.headers["etag"]})
    assert (read.status_code, read.json()) == (200, written)
    again = await client.get(f"{url}/", headers={"If-None-Match": read.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await put(client, url, 1, comments=[sent])).json()["comments"] == [sent]
    assert (await put(client, url, 2)).json()["version"] == 3
    assert (await client.get(url)).json()["comments"] == []


async def test_marks_go_along_with_the_person_to_other_runs_of_the_task(
    client: httpx.AsyncClient,
    session: AsyncSession,
    url: str,
    project: Project,
    owner: User,
    task: Task,
    task_url: str,
) -> None:
    await put(client, url, 0, viewed=[MARK], comments=[COMMENT])
    later = await make_run(session, task=task)
    elsewhere = await make_run(session, task=await make_task(session, project=project, created_by=owner))
    await session.commit()

    read = await client.get(f"{task_url}/runs/{later.id}/review")

    assert (read.json()["version"], read.json()["viewed"], read.json()["comments"]) == (0, [MARK], [])
    other = {"path": "b.py", "hash": "1"}
    await put(client, url, 1, viewed=[other])
    again = await client.get(read.url.path, headers={"If-None-Match": read.headers["etag"]})
    assert (again.status_code, again.json()["viewed"]) == (200, [other])
    own = (await put(client, read.url.path, 0, viewed=[])).json()
    assert (own["version"], own["viewed"]) == (1, [])
    assert (await client.get(url)).json()["viewed"] == [other]
    apart = task_url.replace(str(task.id), str(elsewhere.task_id))
    assert (await client.get(f"{apart}/runs/{elsewhere.id}/review")).json() == NOTHING


async def test_sent_comments_go_along_to_later_runs_of_the_task_for_all_who_see_it(
    client: httpx.AsyncClient,
    session: AsyncSession,
    application: FastAPI,
    url: str,
    project: Project,
    owner: User,
    run: Run,
    task: Task,
    task_url: str,
) -> None:
    """They were missing in the review of the next run, and nothing said whether they were done."""
    await session.execute(update(Task).values(origin_product="onboarding"))
    later = await make_run(session, task=task, created_at=run.created_at + timedelta(seconds=1))
    key = await make_key(session, user=await make_user(session, projects=[project]))
    await session.commit()
    next_url = f"{task_url}/runs/{later.id}/review"
    sent = COMMENT | {"message_id": "m1"}
    await put(client, url, 0, comments=[sent, COMMENT | {"id": "draft"}])

    read = await client.get(next_url)
    [earlier] = read.json()["earlier"]
    assert (earlier["run_id"], earlier["sent_by"]["id"]) == (str(run.id), owner.id)
    assert earlier["comments"] == [sent]
    assert (await client.get(url)).json()["earlier"] == []
    async with in_process_client(application, headers=bearer(key)) as other:
        for each in (url, next_url):
            assert [one["comments"] for one in (await other.get(each)).json()["earlier"]] == [[sent]]

    resolved = sent | {"resolved": True}
    await put(client, url, 1, comments=[resolved])
    again = await client.get(next_url, headers={"If-None-Match": read.headers["etag"]})
    assert (again.status_code, again.json()["earlier"][0]["comments"]) == (200, [resolved])
    same = await client.get(next_url, headers={"If-None-Match": again.headers["etag"]})
    assert same.status_code == 304


async def test_second_of_two_writers_gets_the_review_of_the_first(
    client: httpx.AsyncClient, url: str
) -> None:
    for version in (0, 1):
        answers = await asyncio.gather(
            *(put(client, url, version, viewed=[{"path": f"f{n}", "hash": "1"}]) for n in range(4))
        )

        with concerning(version):
            assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
            stored = (await client.get(url)).json()
            for answer in answers:
                if answer.status_code == 409:
                    error = answer.json()
                    assert (error["type"], error["code"], error["attr"]) == (
                        "invalid_request",
                        "version_conflict",
                        None,
                    )
                    assert error["extra"] == stored
    ahead = await put(client, url, 7)
    error = ahead.json()
    seen = (ahead.status_code, error["type"], error["code"], error["attr"])
    assert seen == (409, "invalid_request", "version_conflict", None)
    assert error["extra"] == (await client.get(url)).json()


async def test_two_people_have_two_reviews(
    client: httpx.AsyncClient, url: str, application: FastAPI, session: AsyncSession, project: Project
) -> None:
    member = await make_user(session, projects=[project])
    key = await make_key(session, user=member)
    # One that all members see.
    await session.execute(update(Task).values(origin_product="onboarding"))
    await session.commit()
    await put(client, url, 0, comments=[COMMENT])
    async with in_process_client(application, headers=bearer(key)) as other:
        assert (await other.get(url)).json() == NOTHING
        assert (await put(other, url, 0, viewed=[MARK])).json()["version"] == 1
    assert (await client.get(url)).json()["comments"] == [COMMENT]
    await session.execute(delete(User).where(User.id == member.id))
    await session.commit()
    assert await session.scalar(select(func.count()).select_from(RunReview)) == 1


async def test_review_goes_with_its_run(
    client: httpx.AsyncClient, url: str, session: AsyncSession, run: Run
) -> None:
    await put(client, url, 0, viewed=[MARK])
    await session.execute(delete(Run).where(Run.id == run.id))
    await session.commit()
    assert await session.scalar(select(func.count()).select_from(RunReview)) == 0


async def test_bounds_of_a_review(client: httpx.AsyncClient, url: str) -> None:
    marks = [{"path": f"f{n}", "hash": "1"} for n in range(5001)]
    comments = [COMMENT | {"id": str(n), "text": "a"} for n in range(501)]
    cases: list[tuple[JSON, str, str | None]] = [
        ({"viewed": marks}, "max_length", "viewed"),
        ({"comments": comments}, "max_length", "comments"),
        ({"viewed": [{"path": "a" * 900, "hash": "1"}] * 100}, "max_length", None),
        ({"comments": [COMMENT, COMMENT]}, "invalid_input", "comments"),
        ({"comments": [COMMENT | {"start_line": 6}]}, "invalid_input", "comments"),
        ({"comments": [COMMENT | {"side": "both"}]}, "invalid_choice", "comments__0__side"),
        ({"comments": [COMMENT | {"line": 0}]}, "min_value", "comments__0__line"),
        ({"comments": [COMMENT | {"text": "a" * 10_001}]}, "max_length", "comments__0__text"),
        ({"comments": [COMMENT | {"id": "a" * 65}]}, "max_length", "comments__0__id"),
        ({"viewed": [{"path": "a"}]}, "required", "viewed__0__hash"),
        ({"version": -1}, "min_value", "version"),
    ]
    for lists, code, attr in cases:
        with concerning((code, attr)):
            body = {"version": 0, "viewed": [], "comments": []} | lists
            assert_invalid(await client.put(url, json=body), attr, code)
    assert_invalid(await client.put(url, json={}), "version", "required")
    assert (await client.get(url)).json() == NOTHING
    assert_error(
        await client.get(f"{url[:-7]}x/review"),
        404,
        type="invalid_request",
        code="not_found",
        detail=None,
        attr=None,
    )


async def test_last_version_is_refused(client: httpx.AsyncClient, url: str) -> None:
    assert_invalid(await put(client, url, 2**31 - 1), "version", "max_value")
