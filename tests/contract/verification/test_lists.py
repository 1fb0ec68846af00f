"""Lists of tasks by the verdict about their latest run, and by what the code host's checks say of it (contract 5.1)."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import RunStatus
from app.models import Project, Task, User
from tests.support.assertions import assert_invalid, assert_page, concerning
from tests.support.clock import MovableClock
from tests.support.factories import make_run, make_task
from tests.support.verification import make_attempt, make_verified_run, shown

Listed = Callable[..., Awaitable[list[str]]]
MakeTask = Callable[..., Awaitable[Task]]


@pytest.fixture
def listed(client: httpx.AsyncClient, tasks_url: str) -> Listed:
    """List with this query and return the titles; the count must agree."""

    async def listed(**query: Any) -> list[str]:
        response = await client.get(tasks_url, params=query)
        rows = assert_page(response, count=response.json().get("count", -1))
        return [row["title"] for row in rows]

    return listed


@pytest.fixture
def make(session: AsyncSession, project: Project, owner: User, clock: MovableClock) -> MakeTask:
    """Make a task with a run of this verdict, a second later than the one before."""

    async def make(title: str, verdict: str | None, **result: Any) -> Task:
        clock.advance(seconds=1)
        task = await make_task(session, project=project, created_by=owner, title=title)
        run = await make_run(session, task=task, status=RunStatus.COMPLETED)
        await make_attempt(session, run, shown(verdict=verdict, **result))
        return task

    return make


async def test_verdict_is_that_of_the_latest_run(
    listed: Listed, make: MakeTask, session: AsyncSession, clock: MovableClock
) -> None:
    verdicts = ("verified", "claimed", "refuted", "inconclusive")
    tasks = {verdict: await make(verdict, verdict) for verdict in verdicts}
    _ = await make("open", None)
    for verdict in verdicts:
        assert await listed(verdict=verdict) == [verdict]
    assert await listed(verdict="refuted", status="completed") == ["refuted"]
    assert await listed(verdict="refuted", status="failed") == []

    later = clock.now + timedelta(seconds=1)
    _ = await make_verified_run(session, task=tasks["refuted"], verdict="verified", created_at=later)
    earlier = clock.now - timedelta(hours=1)
    _ = await make_verified_run(session, task=tasks["claimed"], verdict="refuted", created_at=earlier)
    assert await listed(verdict="refuted") == []
    assert await listed(verdict="verified") == ["refuted", "verified"]


async def test_list_that_is_known_follows_each_change(
    client: httpx.AsyncClient,
    listed: Listed,
    make: MakeTask,
    tasks_url: str,
    session: AsyncSession,
) -> None:
    """Contract 2.9: a new run, a verification that is repeated, and one that ends."""
    task = await make("x", "refuted")
    run_id = (await client.get(f"{tasks_url}/{task.id}")).json()["latest_run"]["id"]
    assert await listed(verdict="refuted") == ["x"]
    run = await make_verified_run(session, task=task, created_at=task.created_at + timedelta(hours=1))
    assert str(run.id) != run_id
    assert await listed(verdict="refuted") == []
    skip = {"jsonrpc": "2.0", "method": "skip_verification"}
    url = f"{tasks_url}/{task.id}/runs/{run.id}"
    assert (await client.post(f"{url}/command", json=skip)).status_code == 200
    assert await listed(verdict="claimed") == ["x"]
    assert (await client.post(f"{url}/verify")).status_code == 202
    assert await listed(verdict="claimed") == []
    assert (await client.post(f"{tasks_url}/{task.id}/run", json={})).status_code == 200
    assert await listed(verdict="claimed") == await listed(verdict="refuted") == []


async def test_ci_status_is_that_of_the_latest_run(
    listed: Listed, make: MakeTask, session: AsyncSession, project: Project, owner: User
) -> None:
    for state in ("success", "failure", "pending"):
        ci: dict[str, Any] = {"state": state, "head_sha": "c" * 40, "total": 1, "failed": [], "url": None}
        _ = await make(state, "verified", ci=ci)
    _ = await make("no checks", "claimed")
    _ = await make_task(session, project=project, created_by=owner, title="no run")
    for state in ("success", "failure", "pending"):
        assert await listed(ci_status=state) == [state]
    assert await listed(ci_status="none") == ["no checks"]
    assert await listed(ci_status="success", verdict="refuted") == []


async def test_order_by_verdict_is_by_urgency_and_then_newest_first(
    listed: Listed, make: MakeTask, session: AsyncSession, project: Project, owner: User
) -> None:
    for number in (1, 2):
        for verdict in ("verified", "refuted", "claimed", "inconclusive", None):
            _ = await make(f"{verdict or 'open'} {number}", verdict)
    _ = await make_task(session, project=project, created_by=owner, title="no run")
    order = ["refuted", "inconclusive", "claimed", "verified"]
    expected = [f"{verdict} {number}" for verdict in order for number in (2, 1)]
    expected += ["no run", "open 2", "open 1"]
    assert await listed(ordering="verdict") == expected
    pages = [await listed(ordering="verdict", limit=4, offset=offset) for offset in (0, 4, 8)]
    assert [title for page in pages for title in page] == expected
    assert await listed(ordering="verdict", verdict="claimed") == ["claimed 2", "claimed 1"]
    # The others are as before.
    assert (await listed())[0] == "no run"


async def test_other_words_are_refused(client: httpx.AsyncClient, tasks_url: str) -> None:
    for name, word in (
        ("verdict", "none"),
        ("verdict", "VERIFIED"),
        ("ci_status", "error"),
        ("ordering", "-verdict"),
        ("ordering", "verified"),
    ):
        with concerning((name, word)):
            response = await client.get(tasks_url, params={name: word})
            assert_invalid(response, name, "invalid_choice")
    for name in ("verdict", "ci_status", "ordering"):
        assert_page(await client.get(tasks_url, params={name: ""}), count=0)
