"""What clients see of a run's changes while its agent works or waits, and afterwards (contract 19)."""

import asyncio
import tempfile
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from app.db import unit_of_work
from app.enums import DiffBase, RunStatus
from app.ids import new_hex_id
from app.models import Task
from app.services.runs.run_lifecycle import Claim
from app.worker.run.live_changes import LiveDiffs
from app.worker.run.log_recorder import RunLog
from tests.fixtures.worker import Repositories, Workshop
from tests.support.factories import make_run
from tests.support.waiting import eventually
from tests.worker.pilot import Pilot

pytestmark = pytest.mark.usefixtures("woken")
JSON = dict[str, Any]

FIRST = "```sh\necho two > README.md; echo new > new.txt; rm gone.txt\n```\n```ask options=go\nReady?\n```"
MORE = "```sh\necho three >> new.txt\n```\n```ask options=go\nReady?\n```"


async def queued(workshop: Workshop, repositories: Repositories, description: str, **more: str) -> Pilot:
    repositories.create("acme/app", {"README.md": "one\n", "gone.txt": "old\n"})
    state = {"mode": "interactive", **more}
    return Pilot(workshop, await workshop.queued_run(description, state=state, repository="acme/app"))


def statuses(diff: JSON) -> dict[str, str]:
    return {file["path"]: file["status"] for file in diff["files"]}


async def test_diff_is_there_while_the_agent_waits_and_stays_at_the_end(
    workshop: Workshop, repositories: Repositories, watcher: httpx.AsyncClient
) -> None:
    pilot = await queued(workshop, repositories, f"{FIRST}\n{MORE}")
    url = pilot.url
    before = (await watcher.get(f"{url}/diff?source=auto")).json()
    assert (before["source"], before["missing"], before["files"]) == ("live", "not_started", [])
    job = pilot.start()
    await pilot.until_waiting_for("permission")

    answer = await watcher.get(f"{url}/diff?source=auto")

    first = answer.json()
    assert (first["source"], first["missing"], first["left_out"]) == ("live", None, [])
    assert statuses(first) == {"README.md": "M", "gone.txt": "D", "new.txt": "A"}
    assert first["totals"] == {"files": 3, "additions": 2, "deletions": 2}
    assert "+two\n" in first["files"][0]["patch"]
    again = await watcher.get(f"{url}/diff?source=auto", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    base = (await watcher.get(f"{url}/diff/file?source=auto&path=README.md")).json()
    assert base == {"path": "README.md", "tree": first["tree"], "text": "one\n", "missing": None}
    new = (await watcher.get(f"{url}/diff/file?source=auto&path=new.txt")).json()
    assert (new["text"], new["missing"]) == (None, "no_text")

    await pilot.answer("go")

    async def shows_more() -> bool:
        shown = (await watcher.get(f"{url}/diff?source=live")).json()
        return bool(shown["totals"] == {"files": 3, "additions": 3, "deletions": 2})

    # A diff counts as that of now for twenty times as long as it took, which is long on a busy machine.
    await eventually(shows_more, within_seconds=200)
    await pilot.until_waiting_for("permission")
    await pilot.answer("go")
    await pilot.until_waiting_for("message")
    await pilot.send("close")
    await job
    done = (await watcher.get(url)).json()
    assert (done["status"], done["state"]["changes"]) == (
        RunStatus.COMPLETED,
        {"files": 3, "additions": 3, "deletions": 2},
    )
    stored = (await watcher.get(f"{url}/diff?source=auto")).json()
    assert (stored["source"], stored["missing"], stored["totals"]) == (
        "stored",
        None,
        done["state"]["changes"],
    )
    assert statuses(stored) == statuses(first)
    kept = (await watcher.get(f"{url}/diff/file?path=gone.txt")).json()
    assert kept == {"path": "gone.txt", "tree": None, "text": "old\n", "missing": None}
    over = (await watcher.get(f"{url}/diff?source=live")).json()
    assert (over["missing"], over["files"]) == ("over", [])


async def test_work_is_compared_with_the_branch_as_it_is_now(
    workshop: Workshop, repositories: Repositories, watcher: httpx.AsyncClient
) -> None:
    pilot = await queued(workshop, repositories, FIRST)
    url = f"{pilot.url}/diff"
    job = pilot.start()
    await pilot.until_waiting_for("permission")
    repositories.add("acme/app", {"README.md": "one\nmerged\n", "later.txt": "later\n"})

    now = (await watcher.get(f"{url}?source=auto&base=branch")).json()

    assert (now["source"], now["missing"], now["behind"]) == ("live", None, 1)
    assert statuses(now) == {"README.md": "M", "gone.txt": "D", "later.txt": "D", "new.txt": "A"}
    assert "-one\n-merged\n+two\n" in now["files"][0]["patch"]
    text = f"{url}/file?source=auto&base=branch&path=later.txt"
    assert (await watcher.get(text)).json()["text"] == "later\n"
    since = (await watcher.get(f"{url}?source=auto")).json()
    assert statuses(since) == {"README.md": "M", "gone.txt": "D", "new.txt": "A"}
    assert since["behind"] is None
    repositories.rename_main("acme/app", "trunk")

    async def says_that_it_is_gone() -> bool:
        answer = (await watcher.get(f"{url}?base=branch")).json()
        return bool(answer["missing"] == "no_branch" and answer["files"] == [])

    await eventually(says_that_it_is_gone)
    await pilot.answer("go")
    await pilot.until_waiting_for("message")
    await pilot.send("close")
    await job
    over = (await watcher.get(f"{url}?source=auto&base=branch")).json()
    assert (over["source"], over["missing"]) == ("live", "over")


async def test_run_that_continues_shows_its_whole_branch_too(
    workshop: Workshop, repositories: Repositories, watcher: httpx.AsyncClient
) -> None:
    repositories.create("acme/app", {"README.md": "one\n"})
    made = "```sh\necho two > README.md; echo new > new.txt\n```"
    first = Pilot(workshop, await workshop.queued_run(made, repository="acme/app"))
    await first.start()
    alone = (await watcher.get(f"{first.url}/diff?base=first")).json()
    assert alone == (await watcher.get(f"{first.url}/diff")).json()
    repositories.add("acme/app", {"merged.txt": "by others\n"})

    async def continued(message: str) -> Pilot:
        async with unit_of_work(workshop.sessions) as session:
            task = await session.get_one(Task, first.run.task_id)
            state = {"resume_from_run_id": str(first.run.id), "pending_user_message": message}
            run = await make_run(session, task=task, state={"mode": "interactive"} | state)
            run.dispatch_requested_at = run.created_at
        return Pilot(workshop, run)

    pilot = await continued("```sh\necho more > more.txt; rm new.txt\n```\n```ask options=go\nReady?\n```")
    job = pilot.start()
    await pilot.until_waiting_for("permission")

    async def check(source: str) -> None:
        whole = (await watcher.get(f"{pilot.url}/diff?source=auto&base=first")).json()
        assert (whole["source"], whole["missing"]) == (source, None)
        assert statuses(whole) == {"README.md": "M", "more.txt": "A"}
        text = (await watcher.get(f"{pilot.url}/diff/file?source=auto&base=first&path=README.md")).json()
        assert (text["text"], text["missing"]) == ("one\n", None)
        own = (await watcher.get(f"{pilot.url}/diff?source=auto")).json()
        assert statuses(own) == {"more.txt": "A", "new.txt": "D"}

    await check("live")
    await pilot.answer("go")
    await pilot.until_waiting_for("message")
    await pilot.send("close")
    await job
    await check("stored")
    idle = await continued("```say\nNothing to do\n```")
    job = idle.start()
    await idle.until_waiting_for("message")
    await idle.send("close")
    await job
    whole = (await watcher.get(f"{idle.url}/diff?base=first")).json()
    assert statuses(whole) == {"README.md": "M", "more.txt": "A"}
    assert (await watcher.get(f"{idle.url}/diff")).json()["files"] == []


async def test_run_that_continues_no_branch_says_so(
    workshop: Workshop, repositories: Repositories, watcher: httpx.AsyncClient
) -> None:
    pilot = await queued(workshop, repositories, FIRST, resume_from_run_id=str(uuid4()))
    url = f"{pilot.url}/diff?source=auto&base=first"
    job = pilot.start()
    await pilot.until_waiting_for("permission")

    live = (await watcher.get(url)).json()

    assert (live["source"], live["missing"], live["files"]) == ("live", "no_branch", [])
    await pilot.answer("go")
    await pilot.until_waiting_for("message")
    await pilot.send("close")
    await job
    stored = (await watcher.get(url)).json()
    assert (stored["source"], stored["missing"], stored["files"]) == ("stored", "no_branch", [])
    text = (await watcher.get(f"{pilot.url}/diff/file?base=first&path=README.md")).json()
    assert (text["text"], text["missing"]) == (None, "no_text")


async def test_clients_that_ask_together_have_one_diff_made(
    workshop: Workshop, repositories: Repositories, watcher: httpx.AsyncClient
) -> None:
    pilot = await queued(workshop, repositories, FIRST)
    job = pilot.start()
    await pilot.until_waiting_for("permission")

    answers = await asyncio.gather(*(watcher.get(f"{pilot.url}/diff?source=live") for _ in range(10)))

    assert len({answer.content for answer in answers}) == 1, "more than one has been made"
    assert answers[0].json()["totals"]["files"] == 3
    await pilot.send("cancel")
    await pilot.send("close")
    await job


async def test_followers_learn_that_the_diff_has_changed(
    workshop: Workshop, repositories: Repositories, watcher: httpx.AsyncClient
) -> None:
    pilot = await queued(workshop, repositories, FIRST)
    hub, redis = workshop.context.process.hub, workshop.context.process.redis
    async with hub.follow(pilot.run.id) as follower:
        assert await follower.is_connected(within=10)
        job = pilot.start()
        await pilot.until_waiting_for("permission")
        await pilot.until_logged('"run.changes"')
    events = [
        orjson.loads(fields[b"data"])
        for _, fields in await redis.xrange(f"taskbeacon:run-events:{pilot.run.id}")
    ]
    frames = [event for event in events if event["type"] == "run.changes"]
    assert frames[-1].keys() == {"type", "files", "additions", "deletions", "tree", "at"}
    shown = (await watcher.get(f"{pilot.url}/diff?source=live")).json()
    assert (frames[-1]["files"], frames[-1]["tree"]) == (3, shown["tree"])
    assert (await watcher.get(pilot.url)).json()["state"]["changes"] == shown["totals"]
    await pilot.send("close")
    await pilot.send("cancel")
    await job
    assert await pilot.log("run.changes") == []


async def test_followers_learn_of_an_edit_that_a_request_came_too_soon_for(
    workshop: Workshop, repositories: Repositories, watcher: httpx.AsyncClient
) -> None:
    pilot = await queued(workshop, repositories, f"{FIRST}\n```sh\necho three >> new.txt\n```")
    url = f"{pilot.url}/diff?source=live"
    hub, redis = workshop.context.process.hub, workshop.context.process.redis
    async with hub.follow(pilot.run.id) as follower:
        assert await follower.is_connected(within=10)
        job = pilot.start()
        await pilot.until_waiting_for("permission")
        await watcher.get(url)
        await pilot.answer("go")
        await pilot.until_waiting_for("message")
        await watcher.get(url)

        async def is_announced() -> bool:
            events = await redis.xrange(f"taskbeacon:run-events:{pilot.run.id}")
            frames = [orjson.loads(fields[b"data"]) for _, fields in events]
            return any(frame["type"] == "run.changes" and frame["additions"] == 3 for frame in frames)

        await eventually(is_announced)
    await pilot.send("close")
    await job


async def test_figures_of_a_run_that_no_client_follows_are_made_while_its_agent_works(
    workshop: Workshop, repositories: Repositories
) -> None:
    """The list of tasks showed those of the turn before, or none, until somebody opened the run."""
    pilot = await queued(workshop, repositories, FIRST)
    job = pilot.start()
    await pilot.until_waiting_for("permission")

    async def shows_them() -> bool:
        return (await pilot.state()).get("changes") == {"files": 3, "additions": 2, "deletions": 2}

    await eventually(shows_them, within_seconds=100)
    await pilot.answer("go")
    await pilot.until_waiting_for("message")
    await pilot.send("close")
    await job


async def test_figures_of_a_run_that_no_client_looks_at_are_made_when_its_turn_ends(
    workshop: Workshop, repositories: Repositories, watcher: httpx.AsyncClient
) -> None:
    pilot = await queued(workshop, repositories, f"{FIRST}\n```sh\necho three >> new.txt\n```")
    job = pilot.start()
    await pilot.until_waiting_for("permission")
    assert not list(workshop.context.process.settings.workspaces_path.glob("*/compared-*"))
    # Made a moment before, it does not count as that of now.
    early = (await watcher.get(f"{pilot.url}/diff?source=live")).json()
    await pilot.answer("go")
    await pilot.until_waiting_for("message")

    async def has_figures() -> bool:
        return bool((await pilot.state()).get("changes") == {"files": 3, "additions": 3, "deletions": 2})

    # At once, unless the machine is busy.
    await eventually(has_figures)
    assert early["totals"]["additions"] == 2
    shown = (await watcher.get(f"{pilot.url}/diff?source=live")).json()
    assert shown["totals"] == (await pilot.state())["changes"]
    await pilot.send("close")
    await job


async def test_turn_that_ended_before_the_diffs_began_is_compared(workshop: Workshop) -> None:
    """Regression: it counted as compared, and its figures were missing until a client asked."""
    run = await workshop.queued_run(FIRST)
    compared: list[DiffBase] = []

    async def send(_lines: bytes) -> None: ...

    async def look(base: DiffBase) -> None:
        compared.append(base)

    with tempfile.TemporaryFile() as file:
        claim = Claim(run.id, run.task_id, run.project_id, new_hex_id())
        diffs = LiveDiffs(workshop.context, claim, RunLog(lambda _: None, send, file))
        await diffs.catch_up()
        showing = asyncio.create_task(diffs.show(look))
        await eventually(lambda: DiffBase.START in compared, within_seconds=20)
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
