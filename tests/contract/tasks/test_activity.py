"""The newest activity of tasks: `last_activity_at` and its order (contract 3.1, 5.1), its list and its marks (6.12)."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import EventType, QuestionKind, QuestionStatus, RunStatus
from app.ids import new_id
from app.models import Event, Membership, Project, Question, Task, User
from app.services.events.run_ledger import record_for_run
from tests.support.assertions import assert_invalid, assert_page, concerning
from tests.support.clock import MovableClock, wire_time
from tests.support.factories import make_project, make_run, make_task, make_user
from tests.support.makers import NewTask
from tests.support.questions import make_live_run, make_question, of_status

JSON = dict[str, Any]
ROW_KEYS = [
    "id", "task_id", "task_title", "channel_id", "channel_name", "activity_at", "activity_kind", "snippet",
    "latest_author", "latest_message_id", "latest_comment_id", "latest_comment_scope", "latest_comment_item_id",
    "target_scope", "target_id", "is_unread",
]  # fmt: skip


@pytest.fixture
def activity_url(project: Project) -> str:
    return f"/api/projects/{project.id}/task_activity"


class TestLastActivity:
    async def test_it_is_the_time_of_the_newest_event(
        self, client: httpx.AsyncClient, session: AsyncSession, tasks_url: str, clock: MovableClock
    ) -> None:
        created = (await client.post(tasks_url, json={"title": "x"})).json()
        assert created["last_activity_at"] == created["created_at"] == wire_time(clock)
        task_url, earlier = f"{tasks_url}/{created['id']}", clock.now
        clock.advance(minutes=1)
        run = (await client.post(f"{task_url}/run", json={})).json()["latest_run"]
        run_url = f"{task_url}/runs/{run['id']}"
        text = {"name": "a.txt", "type": "plan", "content": "a"}
        steps: list[tuple[str, str, JSON | None, bool]] = [
            ("PATCH", task_url, {"ci_prompt": "y"}, True),
            ("PATCH", task_url, {"ci_prompt": "y"}, False),
            ("PUT", f"{task_url}/follow", None, False),
            ("GET", run_url, None, False),
            ("PATCH", run_url, {"status": "in_progress"}, True),
            ("PATCH", run_url, {"stage": "build"}, False),
            ("POST", f"{run_url}/artifacts", {"artifacts": [text]}, True),
            ("PATCH", run_url, {"status": "not_started"}, False),
            ("PATCH", run_url, {"status": "completed"}, True),
            ("PATCH", task_url, {"archived": True}, True),
        ]
        expected = ""
        for method, url, body, moves in steps:
            shown = (await client.get(task_url)).json()
            clock.advance(minutes=1)
            response = await client.request(method, url, json=body)
            with concerning((method, url, body)):
                assert response.is_success, response.text
                expected = wire_time(clock) if moves else shown["last_activity_at"]
                after = (await client.get(task_url)).json()
                assert after["last_activity_at"] == expected
                newest = await session.scalar(
                    select(func.max(Event.occurred_at)).where(Event.task_id == after["id"])
                )
                assert newest is not None
                assert newest.isoformat().replace("+00:00", "Z") == expected
                [listed] = assert_page(await client.get(tasks_url, params={"archived": "all"}), count=1)
                assert listed == after
        # The ledger forgets, and clocks of machines differ: it is never lowered.
        await session.execute(delete(Event))
        clock.now = earlier
        await record_for_run(session, run["id"], EventType.RUN_PULL_REQUEST_OPENED, [{"pr_url": "p"}])
        assert (await client.get(task_url)).json()["last_activity_at"] == expected

    async def test_it_moves_with_questions_and_older_runs(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        tasks_url: str,
        clock: MovableClock,
        new_task: NewTask,
    ) -> None:
        task = await new_task()
        task_url = f"{tasks_url}/{task.id}"
        older = await make_live_run(session, task=task)
        question = await make_question(session, task=task, run=older)
        clock.advance(seconds=1)
        await make_run(session, task=task, status=RunStatus.QUEUED)
        for path, body in (
            (f"/api/projects/{task.project_id}/questions/{question.id}/answer", {"option_id": "allow"}),
            (f"{task_url}/runs/{older.id}", {"status": "failed"}),
        ):
            clock.advance(seconds=1)
            method = "PATCH" if "status" in body else "POST"
            assert (await client.request(method, path, json=body)).is_success
            shown = (await client.get(task_url)).json()
            assert shown["last_activity_at"] == wire_time(clock)
            assert shown["latest_run"]["status"] == "queued"


class TestOrdering:
    @pytest.fixture(autouse=True)
    async def tasks(self, new_task: NewTask, clock: MovableClock) -> None:
        """Four tasks, of which the first has moved last and two have moved at the same time."""
        for number, minutes in enumerate((9, 5, 5, 7)):
            await new_task(
                id=f"00000000-0000-4000-8000-00000000000{number}",
                title=f"task {number}",
                repository="org/repo" if number % 2 else None,
                created_at=clock.now + timedelta(seconds=number),
                last_activity_at=clock.now + timedelta(minutes=minutes),
            )

    async def titles(self, client: httpx.AsyncClient, url: str, count: int, **query: str) -> str:
        rows = assert_page(await client.get(url, params=query), count=count)
        return "".join(row["title"].removeprefix("task ") for row in rows)

    async def test_latest_activity_first_with_every_filter_and_on_every_page(
        self, client: httpx.AsyncClient, tasks_url: str
    ) -> None:
        for order, expected in (("", "3210"), ("-created_at", "3210"), ("-last_activity_at", "0321")):
            assert await self.titles(client, tasks_url, 4, ordering=order) == expected
        for query, expected in (
            ({"search": "task"}, "0321"),
            ({"repository": "repo"}, "31"),
            ({"archived": "all", "organization": "org"}, "31"),
        ):
            shown = await self.titles(client, tasks_url, len(expected), ordering="-last_activity_at", **query)
            assert shown == expected
        seen, url = "", f"{tasks_url}?ordering=-last_activity_at&limit=1&search=task"
        while url:
            page = (await client.get(url)).json()
            seen += page["results"][0]["title"].removeprefix("task ")
            assert page["count"] == 4
            assert "ordering=-last_activity_at" in (page["previous"] or page["next"])
            url = page["next"]
        assert seen == "0321"

    async def test_known_pages_follow_activity(
        self, client: httpx.AsyncClient, session: AsyncSession, tasks_url: str, clock: MovableClock
    ) -> None:
        """The cache of pages (ADR 30): activity alone, which no filter sees, changes their order."""
        clock.advance(hours=1)
        tasks = (await session.scalars(select(Task))).all()
        runs = {str(task.id): (await make_live_run(session, task=task)).id for task in tasks}
        for query in 2 * [{}, {"search": "task"}, {"status": "in_progress"}]:
            order = {"ordering": "-last_activity_at", **query}
            ids = [row["id"] for row in assert_page(await client.get(tasks_url, params=order), count=4)]
            clock.advance(minutes=1)
            added = [{"pr_url": "https://example.com/pull/1"}]
            await record_for_run(session, runs[ids[3]], EventType.RUN_PULL_REQUEST_OPENED, added)
            rows = assert_page(await client.get(tasks_url, params=order), count=4)
            with concerning(query):
                assert [row["id"] for row in rows] == [ids[3], *ids[:3]]
                assert rows[0]["last_activity_at"] == wire_time(clock)


async def read(client: httpx.AsyncClient, url: str, **query: Any) -> JSON:
    response = await client.get(url + "/", params=query)
    assert response.status_code == 200, response.text
    body: JSON = response.json()
    assert list(body) == ["results", "unread_count", "next_before", "next_before_id"]
    for row in body["results"]:
        assert list(row) == ROW_KEYS
    return body


async def mark(client: httpx.AsyncClient, url: str, *seen: tuple[Any, str]) -> tuple[int, int]:
    """Mark these tasks as seen up to these times; return how many were marked and how many are unread."""
    activities = [{"task_id": str(task_id), "seen_before": before} for task_id, before in seen]
    response = await client.post(f"{url}/mark_read", json={"activities": activities})
    assert response.status_code == 200, response.text
    body = response.json()
    assert list(body) == ["marked_read", "unread_count"]
    return body["marked_read"], body["unread_count"]


class TestList:
    async def test_each_task_has_one_row_with_its_newest_activity(
        self,
        client: httpx.AsyncClient,
        colleagues_client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        owner: User,
        colleague: User,
        activity_url: str,
        tasks_url: str,
        clock: MovableClock,
    ) -> None:
        task = await make_task(
            session,
            project=project,
            created_by=owner,
            title="Fix it",
            description="x" * 300,
            origin_product="onboarding",
        )
        url = f"{tasks_url}/{task.id}"

        async def row(kind: str, snippet: str, author: User | None, *, is_unread: bool) -> JSON:
            row: JSON
            [row] = (body := await read(client, activity_url))["results"]
            assert (row["activity_kind"], row["snippet"], row["is_unread"]) == (kind, snippet, is_unread)
            assert (row["latest_author"] and row["latest_author"]["id"]) == (author and author.id)
            assert (row["activity_at"], row["task_id"], row["task_title"]) == (
                wire_time(clock),
                str(task.id),
                "Fix it",
            )
            assert (body["unread_count"], body["next_before"], body["next_before_id"]) == (
                int(is_unread),
                None,
                None,
            )
            return row

        first = await row("created", "x" * 200, owner, is_unread=False)
        assert [first[name] for name in ROW_KEYS if first[name] is None] == [None] * 8

        clock.advance(seconds=1)
        run = await make_live_run(session, task=task)
        question = await make_question(session, task=task, run=run, title="May I?")
        await row("awaiting_input", "May I?", None, is_unread=True)
        assert await mark(client, activity_url, (task.id, wire_time(clock))) == (1, 0)
        await row("awaiting_input", "May I?", None, is_unread=False)

        # An answer is no activity: what was before is the newest.
        path = f"/api/projects/{project.id}/questions/{question.id}/answer"
        clock.advance(seconds=1)
        assert (await client.post(path, json={"option_id": "allow"})).status_code == 200
        [shown] = (await read(client, activity_url))["results"]
        assert (shown["activity_kind"], shown["is_unread"]) == ("created", False)

        for sender, content, text in (
            (client, "Be\nquick.", "Be\nquick."),
            (colleagues_client, [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
        ):
            clock.advance(seconds=1)
            command = {"jsonrpc": "2.0", "method": "user_message", "params": {"content": content}}
            sent = await sender.post(f"{url}/runs/{run.id}/command", json=command)
            assert sent.status_code == 200, sent.text
            author = owner if sender is client else colleague
            shown = await row("message", text, author, is_unread=sender is not client)
            assert shown["latest_message_id"] is not None
        # By the agent's question for it, too; which is over then.
        await make_question(session, task=task, run=run, kind=QuestionKind.MESSAGE, title="Go on?")
        clock.advance(seconds=1)
        command = {"jsonrpc": "2.0", "method": "user_message", "params": {"content": "c"}}
        assert (await client.post(f"{url}/runs/{run.id}/command", json=command)).status_code == 200
        await row("message", "c", owner, is_unread=False)

        clock.advance(seconds=1)
        ended = await colleagues_client.patch(
            f"{url}/runs/{run.id}", json={"status": "failed", "error_message": "It broke."}
        )
        assert ended.status_code == 200, ended.text
        await row("completed", "It broke.", colleague, is_unread=True)
        await make_question(session, task=task, run=run, opened_at=clock.now + timedelta(seconds=1))
        [shown] = (await read(client, activity_url))["results"]
        assert shown["activity_kind"] == "completed"
        # The newest run does not hide the end of an older one, and the own end is read.
        for days, method, path, text in ((0, "PATCH", "", ""), (1, "POST", "/cancel", "Stopped by user")):
            clock.advance(seconds=1)
            other = await make_run(session, task=task, created_at=clock.now - timedelta(days=days))
            body = {"status": "cancelled"}
            done = await client.request(method, f"{url}/runs/{other.id}{path}", json=body)
            assert done.is_success, done.text
            await row("completed", text, owner, is_unread=False)

    async def test_it_has_what_the_caller_created_or_follows_and_sees_now(
        self,
        client: httpx.AsyncClient,
        colleagues_client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        owner: User,
        colleague: User,
        activity_url: str,
        tasks_url: str,
        new_task: NewTask,
    ) -> None:
        other = await make_project(session)
        session.add(Membership(user_id=owner.id, project_id=other.id, created_at=project.created_at))
        await make_task(session, project=other, created_by=owner)
        shown = [await new_task(title="a"), await new_task(title="b", archived=True, internal=True)]
        await new_task(deleted=True)
        followed = await new_task(created_by=colleague, title="c", origin_product="onboarding")
        await new_task(created_by=colleague, title="not followed", origin_product="onboarding")
        assert (await client.put(f"{tasks_url}/{followed.id}/follow")).status_code == 204

        async def titles(reader: httpx.AsyncClient) -> tuple[list[str], int]:
            body = await read(reader, activity_url)
            return sorted(row["task_title"] for row in body["results"]), body["unread_count"]

        assert await titles(client) == (["a", "b", "c"], 1)
        assert await titles(colleagues_client) == (["c", "not followed"], 0)
        await session.execute(update(Task).where(Task.id == followed.id).values(origin_product="slack"))
        assert (await client.delete(f"{tasks_url}/{shown[0].id}")).status_code == 204
        assert await titles(client) == (["b"], 0)

    async def test_pages_follow_each_other_and_ties_are_by_id(
        self, client: httpx.AsyncClient, new_task: NewTask, activity_url: str, clock: MovableClock
    ) -> None:
        tasks = [await new_task(created_at=clock.now - timedelta(hours=number // 2)) for number in range(5)]
        expected = [
            str(task.id) for task in sorted(tasks, key=lambda task: (task.created_at, task.id), reverse=True)
        ]
        place: JSON = {}
        seen: list[str] = []
        for size in (2, 2, 1):
            page = await read(client, activity_url, limit=2, **place)
            assert len(page["results"]) == size
            seen += [row["task_id"] for row in page["results"]]
            place = {"before": page["next_before"], "before_id": page["next_before_id"]}
        assert seen == expected
        assert place == {"before": None, "before_id": None}
        last = (await read(client, activity_url, limit=500))["results"][-1]
        end = await read(client, activity_url, before=last["activity_at"], before_id=last["id"])
        assert (end["results"], end["next_before"]) == ([], None)

    async def test_bad_pages_are_refused(self, client: httpx.AsyncClient, activity_url: str) -> None:
        place: dict[str, str] = {"before": "2026-03-01T10:00:00Z", "before_id": str(new_id())}
        for query, attr, code in (
            ({"limit": "0"}, "limit", "min_value"),
            ({"limit": "501"}, "limit", "max_value"),
            ({"limit": "many"}, "limit", "invalid_input"),
            ({"before": place["before"]}, "before_id", "required"),
            ({"before_id": place["before_id"], "before": ""}, "before", "required"),
            (place | {"before": "yesterday"}, "before", "invalid_input"),
            (place | {"before_id": "x"}, "before_id", "invalid_input"),
        ):
            with concerning(query):
                assert_invalid(await client.get(activity_url, params=query), attr, code)
        assert await read(client, activity_url, limit="") == await read(client, activity_url, **place)


class TestMarks:
    async def test_only_older_activity_is_marked_and_marks_never_go_back(
        self,
        client: httpx.AsyncClient,
        colleagues_client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        colleague: User,
        activity_url: str,
        tasks_url: str,
        new_task: NewTask,
        clock: MovableClock,
    ) -> None:
        mine, theirs = await new_task(origin_product="onboarding"), await new_task(created_by=colleague)
        private = await make_task(session, project=project, created_by=await make_user(session))
        assert (await colleagues_client.put(f"{tasks_url}/{mine.id}/follow")).status_code == 204
        created = wire_time(clock)
        clock.advance(seconds=1)
        await make_question(session, task=mine)
        opened = wire_time(clock)
        # Neither invisible nor unknown tasks, nor what has happened since.
        strangers = [(task_id, opened) for task_id in (theirs.id, private.id, new_id())]
        assert await mark(client, activity_url, *strangers, (mine.id, created)) == (0, 1)
        assert await mark(client, activity_url) == (0, 1)
        assert await mark(client, activity_url, (mine.id, created), (mine.id, opened)) == (1, 0)
        for before in (opened, created, "9999-12-31T23:59:59.999999"):
            assert await mark(client, activity_url, (mine.id, before)) == (0, 0)
        # Marks are of one person, and a time to come hides nothing that comes.
        assert (await read(colleagues_client, activity_url))["unread_count"] == 1
        clock.advance(seconds=1)
        await session.execute(update(Question).values(of_status(QuestionStatus.ANSWERED)))
        await make_question(session, task=mine)
        assert (await read(client, activity_url))["unread_count"] == 1

    async def test_bad_bodies_are_refused(self, client: httpx.AsyncClient, activity_url: str) -> None:
        one = {"task_id": str(new_id()), "seen_before": "2026-03-01T10:00:00Z"}
        for body, attr, code in (
            ({}, "activities", "required"),
            ({"activities": None}, "activities", "null"),
            ({"activities": [one] * 501}, "activities", "max_length"),
            ({"activities": [one | {"task_id": "x"}]}, "activities__0__task_id", "invalid_input"),
            ({"activities": [one, {"task_id": one["task_id"]}]}, "activities__1__seen_before", "required"),
            ({"activities": [one | {"seen_before": "x"}]}, "activities__0__seen_before", "invalid_input"),
        ):
            with concerning(body if len(str(body)) < 500 else attr):
                assert_invalid(await client.post(f"{activity_url}/mark_read", json=body), attr, code)
        sent = [{**one, "activity_id": value} for value in (None, "", "x")] * 166
        response = await client.post(f"{activity_url}/mark_read/", json={"activities": sent})
        assert response.json() == {"marked_read": 0, "unread_count": 0}
