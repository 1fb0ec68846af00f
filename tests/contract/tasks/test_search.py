"""Search over tasks, pull requests and artifacts (contract 6.10)."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import RunStatus
from app.models import Project, TaskCounter, User
from tests.support.assertions import assert_invalid
from tests.support.callers import CallerKind
from tests.support.factories import make_project, make_run, make_task
from tests.support.makers import NewTask

JSON = dict[str, Any]
KEYS = ["id", "kind", "title", "subtitle", "task_id", "task_run_id", "channel_id", "metadata"]


def file(name: str, **overrides: Any) -> JSON:
    entry = {"id": f"id of {name}", "name": name, "type": "output", "source": "agent", "size": 12}
    entry |= {"content_type": "text/plain", "storage_path": f"tasks/{name}", "uploaded_at": "2026-03-01"}
    return entry | overrides


async def search(client: httpx.AsyncClient, tasks_url: str, q: str, **more: Any) -> list[JSON]:
    response = await client.get(f"{tasks_url}/search/", params={"q": q, **more})
    assert response.status_code == 200, response.text
    rows: list[JSON] = response.json()
    for row in rows:
        assert list(row) == KEYS
        assert row["channel_id"] is None
    return rows


async def test_rows_of_each_kind(
    client: httpx.AsyncClient, session: AsyncSession, new_task: NewTask, tasks_url: str
) -> None:
    task = await new_task(title="Count the walrus", repository="acme/shop", task_number=12)
    url = "https://github.com/acme/walrus.shop/pull/7"
    run = await make_run(
        session,
        task=task,
        status=RunStatus.COMPLETED,
        output={"pr_url": url},
        artifacts=[file("other.txt"), file("Walrus.md")],
    )
    common = {"task_id": str(task.id), "task_run_id": str(run.id), "channel_id": None}
    assert await search(client, tasks_url, " wALRus ") == [
        {
            **common,
            "id": str(task.id),
            "kind": "task",
            "title": "Count the walrus",
            "subtitle": "TES-12",
            "task_run_id": None,
            "metadata": {"slug": "TES-12", "status": "completed", "repository": "acme/shop"},
        },
        {
            **common,
            "id": url,
            "kind": "pull_request",
            "title": "acme/walrus.shop#7",
            "subtitle": "Count the walrus",
            "metadata": {"url": url, "number": 7, "repository": "acme/walrus.shop"},
        },
        {
            **common,
            "id": "id of Walrus.md",
            "kind": "artifact",
            "title": "Walrus.md",
            "subtitle": "Count the walrus",
            "metadata": {"type": "output", "size": 12, "content_type": "text/plain"},
        },
    ]
    assert [row["id"] for row in await search(client, tasks_url, url)] == [url]


async def test_task_matches_as_in_the_list(
    client: httpx.AsyncClient, new_task: NewTask, tasks_url: str
) -> None:
    """By title, description or number; without a run the status is null."""
    task = await new_task(title="One", description="About a walrus", task_number=4711)
    await new_task(title="Two", task_number=47)
    for q in ("walrus", "ONE", "TES-4711", "4711"):
        [row] = await search(client, tasks_url, q)
        assert (row["id"], row["metadata"]["status"]) == (str(task.id), None), q


async def test_order_is_by_kind_then_newest_and_the_limit_counts_all(
    client: httpx.AsyncClient, session: AsyncSession, new_task: NewTask, tasks_url: str
) -> None:
    """Old tasks may have new runs."""
    now = utcnow()
    old, new = [await new_task(title="walrus", created_at=now - timedelta(hours=hours)) for hours in (2, 1)]
    late, early = [
        await make_run(
            session,
            task=task,
            created_at=now - timedelta(minutes=minutes),
            output={"pr_url": f"https://example.com/walrus/{minutes}"},
            artifacts=[file(f"walrus-{minutes}-a"), file(f"walrus-{minutes}-b")],
        )
        for task, minutes in ((old, 1), (new, 2))
    ]
    found = await search(client, tasks_url, "walrus")
    assert [(row["kind"], row["task_run_id"] or row["id"]) for row in found] == [
        ("task", str(new.id)),
        ("task", str(old.id)),
        ("pull_request", str(late.id)),
        ("pull_request", str(early.id)),
        *([("artifact", str(late.id))] * 2),
        *([("artifact", str(early.id))] * 2),
    ]
    assert found[2]["metadata"] == {"url": "https://example.com/walrus/1", "number": None, "repository": None}
    assert found[2]["title"] == "https://example.com/walrus/1"
    for limit in (1, 3, 5, 50):
        assert await search(client, tasks_url, "walrus", limit=limit) == found[:limit]


async def test_pull_request_is_one_row_for_a_task_and_url_of_the_newest_run(
    client: httpx.AsyncClient, session: AsyncSession, new_task: NewTask, tasks_url: str
) -> None:
    task, other = await new_task(), await new_task()
    same = {"pr_url": "https://github.com/acme/shop/pull/7"}
    now = utcnow()
    longer = {"pr_url": "https://github.com/acme/shop/pull/70"}
    runs = [
        await make_run(session, task=of, output=output, created_at=now + timedelta(seconds=second))
        for second, (of, output) in enumerate(
            ((task, same), (task, same), (task, longer), (other, same), (task, ["pr_url"]), (task, None))
        )
    ]
    found = await search(client, tasks_url, "SHOP/pull/7")
    assert [row["task_run_id"] for row in found] == [str(runs[number].id) for number in (3, 2, 1)]


async def test_only_tasks_that_the_caller_sees_and_neither_internal_nor_deleted(
    client: httpx.AsyncClient,
    session: AsyncSession,
    new_task: NewTask,
    owner: User,
    colleague: User,
    tasks_url: str,
) -> None:
    archived, shared = await new_task(archived=True), await new_task(colleague, origin_product="hogdesk")
    hidden = [await new_task(colleague), await new_task(internal=True), await new_task(deleted=True)]
    elsewhere = await make_task(session, project=await make_project(session), created_by=owner)
    for task in (archived, shared, *hidden, elsewhere):
        task.title = "walrus"
        await make_run(session, task=task, output={"pr_url": "walrus"}, artifacts=[file("walrus")])
    found = await search(client, tasks_url, "walrus")
    assert [(row["kind"], row["task_id"]) for row in found] == [
        (kind, str(task.id)) for kind in ("task", "pull_request", "artifact") for task in (shared, archived)
    ]


@pytest.mark.caller(CallerKind.STAFF)
async def test_staff_find_no_internal_tasks_either(
    client: httpx.AsyncClient, new_task: NewTask, tasks_url: str
) -> None:
    await new_task(None, internal=True, title="walrus")
    assert await search(client, tasks_url, "walrus") == []


async def test_dismissed_artifact_is_not_found(
    client: httpx.AsyncClient, session: AsyncSession, new_task: NewTask, tasks_url: str
) -> None:
    gone, kept = file("walrus 1", dismissed_at="2026-03-01T10:00:00Z"), file("walrus 2", dismissed_at=None)
    await make_run(session, task=await new_task(), artifacts=[gone, kept])
    assert [row["title"] for row in await search(client, tasks_url, "walrus")] == ["walrus 2"]


async def test_characters_stand_for_themselves(
    client: httpx.AsyncClient, session: AsyncSession, new_task: NewTask, tasks_url: str
) -> None:
    """Those of patterns, and those that JSON writes otherwise."""
    odd = ["100%_done", "a\\b\\n", 'say "hi"', "Grün ☃", "tab\there", "x', 'y"]
    for text in odd:
        await make_run(
            session,
            task=await new_task(title=text, description=""),
            output={"pr_url": text},
            artifacts=[file("a"), file(text), file("b")],
        )
    for text in odd:
        for part in (text, text[1:-1], text.swapcase()):
            found = await search(client, tasks_url, part)
            assert [(row["kind"], row["title"]) for row in found] == [
                (kind, text) for kind in ("task", "pull_request", "artifact")
            ], part
    # What stands between two names in the manifest.
    for between in ('"', '", "', "100_", "%%", "\\\\"):
        assert {row["title"] for row in await search(client, tasks_url, between)} <= {'say "hi"'}


async def test_short_text_is_looked_for_in_the_newest_tasks_and_as_a_number(
    client: httpx.AsyncClient,
    session: AsyncSession,
    new_task: NewTask,
    project: Project,
    tasks_url: str,
) -> None:
    """No index knows it, and a project may have any number of tasks."""
    old, new = await new_task(title="a zq 7", task_number=7), await new_task(title="a zq 8", task_number=8)
    for task in (old, new):
        await make_run(session, task=task, output={"pr_url": task.title}, artifacts=[file(task.title)])
    await session.merge(TaskCounter(project_id=project.id, next_number=10_008))
    await session.flush()
    for q, found in (("zq", [new]), ("a zq", [new]), ("__", []), ("7", [old]), ("zq 7", [])):
        rows = await search(client, tasks_url, q)
        assert {row["task_id"] for row in rows} == {str(task.id) for task in found}, q
    for task in (old, new):
        task.title = "a zqzq"
    await session.flush()
    assert [row["task_id"] for row in await search(client, tasks_url, "zqz")] == [str(new.id), str(old.id)]


async def test_bad_queries(client: httpx.AsyncClient, tasks_url: str) -> None:
    url = f"{tasks_url}/search"
    for query, attr, code in (
        ("", "q", "required"),
        ("limit=0", "q", "required"),
        ("q=", "q", "blank"),
        ("q=%20%20&limit=0", "q", "blank"),
        (f"q={'x' * 513}", "q", "max_length"),
        ("q=a%00b", "q", "null_characters_not_allowed"),
        ("q=a&limit=0", "limit", "min_value"),
        ("q=a&limit=-1", "limit", "min_value"),
        ("q=a&limit=51", "limit", "max_value"),
        ("q=a&limit=many", "limit", "invalid_input"),
    ):
        assert_invalid(await client.get(f"{url}?{query}"), attr, code)
    assert await search(client, tasks_url, "x" * 512) == []
    assert await search(client, tasks_url, "walrus", limit="", unknown="1") == []
