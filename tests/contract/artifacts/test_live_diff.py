"""Live diffs (contract 19.1, 19.3), of what a worker has put into a real Redis."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.git.patches import summarise
from app.agents.workspace.live_patch import Comparison
from app.clients.redis import RedisClient
from app.clock import utcnow
from app.enums import DiffBase, Environment, RunStatus
from app.models import Run, Task
from app.services.artifacts import live_diff
from tests.support.assertions import assert_invalid, concerning
from tests.support.factories import make_run

pytestmark = pytest.mark.slow
JSON = dict[str, Any]

TEXT = "diff --git a/{0} b/{0}\n--- a/{0}\n+++ b/{0}\n@@ -1 +1 @@\n-{1}\n+{1}!\n"
BINARY = "diff --git a/logo.png b/logo.png\nBinary files a/logo.png and b/logo.png differ\n"


async def make_held(session: AsyncSession, task: Task, **fields: Any) -> Run:
    """Make a run that a worker performs."""
    held: JSON = {"status": RunStatus.IN_PROGRESS, "lease_owner": "worker", "lease_expires_at": utcnow()}
    run = await make_run(session, task=task, **(held | fields))
    await session.commit()
    return run


async def keep(
    redis: RedisClient,
    run: Run,
    patch: str,
    tree: str = "t1",
    *,
    sizes: Mapping[str, int] | None = None,
    **facts: Any,
) -> None:
    """Do as the run's worker does with a diff."""
    totals = summarise(patch.encode()).totals
    made: Any = {
        "tree": tree,
        "at": utcnow(),
        "totals": totals,
        "left_out": [],
        "missing": None,
        "behind": None,
    } | facts
    found = Comparison(patch=patch.encode(), sizes=sizes or {}, texts={"a.py": "before\n"})
    await live_diff.keep(redis, live_diff.topic_of(run.id, DiffBase.START), made, found, took=0)


async def test_rows_of_a_live_diff(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, task_url: str, redis: RedisClient
) -> None:
    run = await make_held(session, task)
    large = f'diff --git "a/huge.bin" "b/huge.bin"\nnew file mode 100644\nGIT binary patch\nliteral {2**31}\n'
    await keep(
        redis,
        run,
        large + TEXT.format("a.py", "x") + BINARY,
        sizes={"logo.png": 17},
        left_out=["a pipe"],
    )

    for source in ("live", "auto"):
        shown = (await client.get(f"{task_url}/runs/{run.id}/diff/?source={source}")).json()

        assert [
            (row["path"], row["binary"], row["truncated"], row["new_size"]) for row in shown["files"]
        ] == [
            ("huge.bin", True, True, 2**31),
            ("a.py", False, False, None),
            ("logo.png", True, False, 17),
        ]
        assert (shown["source"], shown["tree"], shown["left_out"]) == ("live", "t1", ["a pipe"])
        assert shown["totals"] == {"files": 3, "additions": 1, "deletions": 1}
        assert shown["at"].endswith("Z")
    stored = (await client.get(f"{task_url}/runs/{run.id}/diff")).json()
    assert (stored["source"], stored["files"], stored["missing"]) == ("stored", [], None)


async def test_pages_are_of_the_diff_of_the_first(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, task_url: str, redis: RedisClient
) -> None:
    run = await make_held(session, task)
    url = f"{task_url}/runs/{run.id}/diff?source=live"
    await keep(redis, run, "".join(TEXT.format(f"f{n}", "x" * 90_000) for n in range(30)))

    paths, page = [], (await client.get(url)).json()
    paths += [row["path"] for row in page["files"]]
    while page["next"]:
        page = (await client.get(f"{url}&cursor={page['next']}")).json()
        assert page["tree"] == "t1"
        paths += [row["path"] for row in page["files"]]

    assert paths == [f"f{n}" for n in range(30)]


async def test_tag_is_that_of_the_tree(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, task_url: str, redis: RedisClient
) -> None:
    run = await make_held(session, task)
    url = f"{task_url}/runs/{run.id}/diff?source=live"
    await keep(redis, run, TEXT.format("a.py", "x"))
    tag = (await client.get(url)).headers["etag"]
    assert (await client.get(url, headers={"If-None-Match": tag})).status_code == 304

    await keep(redis, run, TEXT.format("a.py", "y"), "t2")

    changed = await client.get(url, headers={"If-None-Match": tag})
    assert (changed.status_code, changed.json()["tree"]) == (200, "t2")
    assert changed.headers["etag"] != tag


async def test_diff_that_there_is_not_says_why(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, task_url: str, redis: RedisClient
) -> None:
    not_held: JSON = {"lease_owner": None, "lease_expires_at": None}
    cases: list[tuple[str, str, JSON]] = [
        ("not_started", "live", not_held | {"status": RunStatus.QUEUED}),
        ("not_started", "live", not_held | {"status": RunStatus.NOT_STARTED}),
        ("elsewhere", "stored", not_held | {"status": RunStatus.QUEUED, "environment": Environment.LOCAL}),
        ("elsewhere", "stored", not_held),
        ("over", "stored", not_held | {"verification": {"verdict": None}}),
        ("over", "stored", not_held | {"status": RunStatus.COMPLETED}),
        ("no_answer", "live", {}),
    ]
    for missing, automatic, fields in cases:
        run = await make_held(session, task, **fields)
        with concerning((missing, fields)):
            # At once, since each waits for a worker that does not answer.
            paths = ("diff?source=live", "diff/file?source=live&path=a.py")
            answers = await asyncio.gather(
                *(client.get(f"{task_url}/runs/{run.id}/{path}") for path in paths)
            )
            shown, text = [answer.json() for answer in answers]
            assert (shown["missing"], shown["files"], shown["totals"]) == (missing, [], None)
            assert (text["missing"], text["text"]) == (missing, None)
            if missing != "no_answer":
                shown = (await client.get(f"{task_url}/runs/{run.id}/diff?source=auto")).json()
                assert shown["source"] == automatic
    run = await make_held(session, task)
    await keep(redis, run, "", "", missing="too_large", totals=None)
    assert (await client.get(f"{task_url}/runs/{run.id}/diff?source=live")).json()["missing"] == "too_large"


async def test_text_of_a_file_before_its_change(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, task_url: str, redis: RedisClient
) -> None:
    run = await make_held(session, task)
    url = f"{task_url}/runs/{run.id}/diff/file"
    await keep(redis, run, TEXT.format("a.py", "x"))
    assert (await client.get(f"{url}?source=live&path=a.py")).json() == {
        "path": "a.py",
        "tree": "t1",
        "text": "before\n",
        "missing": None,
    }
    for query in ("source=live&path=b.py", "path=a.py"):
        assert (await client.get(f"{url}?{query}")).json()["missing"] == "no_text"


async def test_bad_queries_are_refused(client: httpx.AsyncClient, task_url: str, run: Run) -> None:
    url = f"{task_url}/runs/{run.id}/diff"
    for query, code, attr in (
        ("/?source=now", "invalid_choice", "source"),
        ("/?base=main", "invalid_choice", "base"),
        ("/file", "required", "path"),
        ("/file?path=" + "a" * 1001, "max_length", "path"),
    ):
        with concerning(query):
            assert_invalid(await client.get(url + query), code=code, attr=attr)
