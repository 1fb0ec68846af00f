"""Polls that find nothing new are answered 304, and never hide a change (contract 2.9)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import TypeDecorator, delete, inspect, select, true, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.clients.storage.object_store import ObjectStore
from app.clock import utcnow
from app.config import Settings
from app.db import create_session_factory
from app.enums import Environment, OriginProduct, RunStatus
from app.ids import new_hex_id, new_id
from app.models import Project, Run, Task, User
from app.runtime import ProcessContext
from app.services.views.queue_position import IN_QUEUE, PROJECT_LIMIT
from app.services.views.runs import RunRow
from app.services.views.tasks import TaskRow
from app.services.views.users import Creator
from tests.support.assertions import assert_invalid, assert_not_found, concerning
from tests.support.callers import Cast
from tests.support.clock import MovableClock
from tests.support.database.queries import recorded
from tests.support.makers import NewRun, NewTask
from tests.support.web.clients import in_process_client
from tests.support.web.polls import Poller, poll

CACHE_CONTROL = "private, no-cache"


@pytest.fixture
def urls(tasks_url: str, task_url: str, run: Run) -> list[str]:
    """One of each answer that has a tag, and lists that are read in different ways."""
    return [
        task_url,
        f"{task_url}/runs/{run.id}",
        f"{task_url}/runs",
        f"{task_url}/runs?limit=1&offset=1",
        tasks_url,
        f"{tasks_url}?limit=1",
        f"{tasks_url}?archived=all",
        f"{tasks_url}?search=login",
        f"{tasks_url}?offset=1",
        f"{tasks_url}?ordering=-last_activity_at",
        f"{tasks_url}?status=failed",
    ]


async def tag_of(client: httpx.AsyncClient, url: str) -> str:
    response = await client.get(url)
    assert response.status_code == 200, response.text
    return response.headers["etag"]


@pytest.mark.usefixtures("clock")
async def test_answer_that_the_client_has_is_304(client: httpx.AsyncClient, urls: list[str]) -> None:
    for url in urls:
        first = await client.get(url)
        again = await poll(client, url, first.headers["etag"])
        with concerning(url):
            assert (first.status_code, first.headers["cache-control"]) == (200, CACHE_CONTROL)
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == first.headers["etag"]
            assert again.headers["cache-control"] == CACHE_CONTROL
            # It counts as a request.
            left = [int(answer.headers["ratelimit-remaining"]) for answer in (first, again)]
            assert left[1] == left[0] - 1


async def test_tags_are_compared_as_a_list_and_weakly(client: httpx.AsyncClient, task_url: str) -> None:
    tag = (await tag_of(client, task_url)).removeprefix("W/")
    for same in (tag, f"W/{tag}", f'"x", {tag}', f'W/"a,b" ,\tW/{tag} , "y"', f"junk, {tag}", "*", " * "):
        with concerning(same):
            assert (await poll(client, task_url, same)).status_code == 304
    for other in (
        "",
        '""',
        '"x"',
        tag.strip('"'),
        f"w/{tag}",
        f"W/ {tag}",
        tag[:-1],
        f"x{tag}",
        '"*"',
        "\xff",
    ):
        response = await client.get(task_url, headers=[(b"If-None-Match", other.encode("latin-1"))])
        with concerning(other):
            assert response.status_code == 200
    twice = await client.get(task_url, headers=[("If-None-Match", '"x"'), ("If-None-Match", tag)])
    assert twice.status_code == 304


async def test_tag_is_of_one_person_and_one_url(
    application: FastAPI, client: httpx.AsyncClient, cast: Cast, session: AsyncSession, urls: list[str]
) -> None:
    # All see the same.
    await session.execute(update(Task).values(origin_product=OriginProduct.SLACK))
    others = [caller.headers for caller in cast.callers.values() if caller.user is not cast.owner]
    for url in urls:
        tag = await tag_of(client, url)
        for headers in others:
            response = await poll(in_process_client(application, headers=headers), url, tag)
            with concerning((url, headers)):
                assert response.status_code in {200, 403, 404}
        for other_url in {*urls, f"{url}{'&' if '?' in url else '?'}a=1", url.replace("?", "/?")} - {url}:
            with concerning((url, other_url)):
                assert (await poll(client, other_url, tag)).status_code == 200


async def test_gates_come_first(
    client: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    session: AsyncSession,
    urls: list[str],
    task_url: str,
) -> None:
    tasks_url = task_url.rpartition("/")[0]
    for url in urls:
        tag = await tag_of(client, url)
        assert (await poll(anonymous, url, tag)).status_code == 403
    for tags in ("*", await tag_of(client, task_url)):
        refused = await poll(client, f"{tasks_url}?created_by=x", tags)
        assert_invalid(refused, "created_by", "invalid_input")
        assert "etag" not in refused.headers
    of_task = {url: await tag_of(client, url) for url in urls if url.startswith(task_url)}
    await session.execute(update(Task).values(deleted=True, deleted_at=utcnow()))
    for url, tag in of_task.items():
        for tags in (tag, "*"):
            gone = await poll(client, url, tags)
            with concerning(url):
                assert_not_found(gone)
                assert "etag" not in gone.headers


async def test_other_methods_ignore_the_header(
    client: httpx.AsyncClient, tasks_url: str, task_url: str
) -> None:
    headers = {"If-None-Match": "*"}
    assert (await client.post(tasks_url, json={}, headers=headers)).status_code == 201
    changed = await client.patch(task_url, json={"title": "Changed"}, headers=headers)
    assert (changed.status_code, "etag" in changed.headers) == (200, False)
    assert (await client.delete(task_url, headers=headers)).status_code == 204


def another(column: Any, value: Any) -> Any:
    """Return a value of a column that is not this one."""
    words = {
        "artifacts": [{"id": new_hex_id()}],
        "environment": Environment.LOCAL,
        "origin_product": OriginProduct.SLACK,
        "status": RunStatus.CANCELLED,
    }
    others = {
        bool: not value,
        datetime: utcnow() - timedelta(days=1),
        int: 7,
        object: {new_hex_id(): 1.5},
        str: new_hex_id(),
        UUID: new_id(),
    }
    type_ = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    return words.get(column.name) or others[type_.python_type]


SHOWN = [
    *((Task, name) for name in TaskRow._fields if name not in {"id", "creator", "run"}),
    *((Run, name) for name in RunRow._fields if name not in {"id", "task_id", "project_id", *IN_QUEUE}),
    *((User, name) for name in Creator._fields if name != "id"),
]
# They refer to rows of other tables.
REFERENCES = {"github_integration_id", "github_user_integration_id", "signal_report_id"}
# What lists are sorted by alone.
SORTED_BY = {"verdict_urgency"}


@pytest.mark.parametrize("leased", [False, True])
async def test_every_column_that_is_shown_changes_the_tag(
    client: httpx.AsyncClient, session: AsyncSession, owner: User, urls: list[str], *, leased: bool
) -> None:
    """Also one that a later release shows: the names are those of the rows that answers are made of."""
    if leased:
        await session.execute(
            update(Run).values(lease_owner="a", lease_expires_at=utcnow(), status=RunStatus.IN_PROGRESS)
        )
    # The status at last, but for the time of its end: with it the lease ends.
    order = {"status": 1, "completed_at": 2}
    for model, name in sorted(SHOWN, key=lambda shown: order.get(shown[1], 0)):
        if name in REFERENCES | SORTED_BY:
            continue
        url = urls[0] if model is not Run else urls[1]
        before = await client.get(url)
        column = inspect(model).columns[name]
        shown = User.id == owner.id if model is User else true()
        value = await session.scalar(select(column).where(shown))
        values = {name: another(column, value)}
        if name == "status":
            values |= {"lease_owner": None, "lease_expires_at": None, "completed_at": utcnow()}
        if name == "archived":
            values["archived_at"] = utcnow()
        await session.execute(update(model).where(shown).values(values))
        after = await poll(client, url, before.headers["etag"])
        with concerning(f"{model.__name__}.{name}"):
            assert after.status_code == 200
            assert after.json() != before.json()


async def test_what_nobody_sees_keeps_the_tag(
    client: httpx.AsyncClient, session: AsyncSession, urls: list[str], task_url: str
) -> None:
    """A heartbeat, an entry of the log and a presence change nothing that is shown."""
    await session.execute(
        update(Run).values(lease_owner="a", lease_expires_at=utcnow(), status=RunStatus.IN_PROGRESS)
    )
    tags = {url: await tag_of(client, url) for url in urls}
    await session.execute(update(Run).values(lease_expires_at=utcnow() + timedelta(minutes=1)))
    await client.post(f"{task_url}/presence", json={"device_id": str(new_id())})
    for url, tag in tags.items():
        with concerning(url):
            assert (await poll(client, url, tag)).status_code == 304


async def test_rows_that_are_not_shown_themselves_count(
    client: httpx.AsyncClient,
    session: AsyncSession,
    urls: list[str],
    new_task: NewTask,
    new_run: NewRun,
) -> None:
    """The place in the queue, the number of tasks and runs, the name of the project, the account of the creator."""
    waiting = {"dispatch_requested_at": utcnow()}
    first = await new_run(task=await new_task(), **waiting)
    await new_run(**waiting)
    poller = Poller(client, urls)
    await poller.check()
    for change in (
        update(Run).where(Run.id == first.id).values(status=RunStatus.IN_PROGRESS),
        update(Project).values(name="Other"),
        delete(Task).where(Task.id == first.task_id),
        update(Task).values(created_by_id=None),
    ):
        await session.execute(change)
        assert await poller.check() < len(urls)
        assert await poller.check() == len(urls)


async def test_reason_of_a_wait_counts(
    application: FastAPI,
    client: httpx.AsyncClient,
    engine: AsyncEngine,
    session: AsyncSession,
    process: ProcessContext,
    run: Run,
    urls: list[str],
    new_run: NewRun,
    new_task: NewTask,
) -> None:
    """A limit is reached, and left, by a run that is neither shown nor ahead of the one that waits."""
    limited = create_session_factory(engine, info={PROJECT_LIMIT: 1})
    application.state.process = replace(process, sessions=limited)
    deleted = await new_task(deleted=True, deleted_at=utcnow())
    held = await new_run(
        task=deleted, status=RunStatus.IN_PROGRESS, lease_owner="a", lease_expires_at=utcnow()
    )
    await session.execute(update(Run).where(Run.id == run.id).values(dispatch_requested_at=utcnow()))
    showing = [url for url in urls if "offset" not in url and "status" not in url]
    poller = Poller(client, showing)
    await poller.check()
    for status in (RunStatus.QUEUED, RunStatus.IN_PROGRESS):
        lease = ("a", utcnow()) if status is RunStatus.IN_PROGRESS else (None, None)
        values = dict(zip(("lease_owner", "lease_expires_at"), lease, strict=True), status=status)
        await session.execute(update(Run).where(Run.id == held.id).values(values))
        assert await poller.check() == 0
        assert await poller.check() == len(showing)


async def test_answer_with_signed_urls_is_renewed_in_time(
    client: httpx.AsyncClient, settings: Settings, urls: list[str], clock: MovableClock
) -> None:
    """And until then every process signs the same."""
    clock.now = datetime.fromtimestamp(540_000 * timedelta(minutes=55).total_seconds(), UTC)
    first = await client.get(urls[1])
    clock.advance(minutes=54, seconds=59)
    assert (await poll(client, urls[1], first.headers["etag"])).status_code == 304
    log_url = first.json()["log_url"]
    signed = parse_qs(urlsplit(log_url).query)
    signed_at = datetime.strptime(signed["X-Amz-Date"][0], "%Y%m%dT%H%M%S%z")
    assert signed_at + timedelta(hours=1) - clock.now > timedelta(minutes=5)
    async with ObjectStore(settings) as another_process:
        key = urlsplit(log_url).path.split(f"/{settings.s3_bucket}/")[1]
        assert await another_process.urls.of(key) == log_url
    clock.advance(seconds=1)
    renewed = await poll(client, urls[1], first.headers["etag"])
    assert renewed.status_code == 200
    assert renewed.json()["log_url"] != log_url


async def test_poll_that_finds_nothing_new_is_one_statement(
    client: httpx.AsyncClient, engine: AsyncEngine, urls: list[str]
) -> None:
    for url in urls:
        tag = await tag_of(client, url)
        async with recorded(engine) as statements:
            assert (await poll(client, url, tag)).status_code == 304
        with concerning(url):
            # The first finds the caller.
            assert len(statements) == 2
            assert "description" not in statements[1].sql


async def test_list_by_activity_is_held_in_its_own_order(
    client: httpx.AsyncClient,
    session: AsyncSession,
    engine: AsyncEngine,
    tasks_url: str,
    new_task: NewTask,
) -> None:
    """Which is not the one of creation; a change of the order alone is a change."""
    at = utcnow()
    tasks = [await new_task(title="walrus", created_at=at - timedelta(hours=hours)) for hours in (2, 1)]
    for query in ("search=walrus", "archived=all", "status=failed", "limit=1&search=walrus"):
        url = f"{tasks_url}?ordering=-last_activity_at&{query}"
        for newest in (*tasks, *tasks):
            tag = await tag_of(client, url)
            at += timedelta(hours=1)
            await session.execute(
                update(Task)
                .where(Task.id == newest.id)
                .values(last_activity_at=at, latest_run_status="failed")
            )
            changed = await poll(client, url, tag)
            with concerning((url, newest.id)):
                assert changed.json()["results"][0]["id"] == str(newest.id)
                async with recorded(engine) as statements:
                    assert (await poll(client, url, changed.headers["etag"])).status_code == 304
                assert len(statements) == 2


async def test_description_says_which_answers_have_a_tag(application: FastAPI) -> None:
    paths = application.openapi()["paths"]
    tagged = {path for path, methods in paths.items() if "304" in methods.get("get", {}).get("responses", {})}
    task = "/api/projects/{project_id}/tasks/{task_id}"
    assert tagged == {
        task.removesuffix("/{task_id}"),
        task,
        f"{task}/runs",
        f"{task}/runs/{{run_id}}",
        f"{task}/runs/{{run_id}}/diff",
        f"{task}/runs/{{run_id}}/review",
    }
    for path in tagged:
        described = paths[path]["get"]
        assert "If-None-Match" in {parameter["name"] for parameter in described["parameters"]}
        assert all("ETag" in described["responses"][status]["headers"] for status in ("200", "304"))
